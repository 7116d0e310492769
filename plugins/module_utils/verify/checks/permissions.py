# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Nobody but root and the container that it belongs to may enter a directory of the stack on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy import permissions
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject


def check(running: Running, _subjects: Sequence[Subject], _asked: None) -> Checked:
    """Compare the permissions of everything that the platform keeps on the host."""
    found = permissions.differences(running.state_directory)
    wrong = "its permissions on the host are not those that keep other users out, or let a container in"
    findings = [Finding("permissions", str(path), wrong, how, ("./sse up",)) for path, how in found]
    return Checked(findings, int(not findings))


KIND = Kind("permissions", "state directory", together(check))
