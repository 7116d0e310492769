"""How the host asks a server of its stack."""

from __future__ import annotations

import ssl

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import http


def test_a_certificate_that_is_not_judged_needs_no_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a system take 20 ms to read, each time."""
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: pytest.fail("it reads authorities"))
    monkeypatch.setattr(ssl.SSLContext, "set_default_verify_paths", lambda *_: pytest.fail("it reads authorities"))
    assert http.Endpoint("nginx", "127.0.0.1", 443, tls=True).connect(1.0).port == 443
