"""What the files of a container, and the clock of the controller, say."""

from __future__ import annotations

from ansible_collections.sse.platform.plugins.module_utils.doctor.gather import facts, namespaces


def test_what_a_container_asks_is_read() -> None:
    assert namespaces.nameserver("search lan\nnameserver 127.0.0.11\nnameserver 1.1.1.1\n") == "127.0.0.11"
    assert facts.seconds_of("1970-01-01T00:01:00.500000Z") == 60.5
