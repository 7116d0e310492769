# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The chain of the stack firewall holds the rules of the newest releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import StackFirewall
from ansible_collections.sse.platform.plugins.module_utils.host import iptables
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject


def check(running: Running, _subjects: Sequence[Subject], _asked: None) -> Checked:
    """Compare the rules in the kernel with those of every project of the stack."""
    found = StackFirewall(running.releases[0]["stack"], running.state_directory)
    if not found.places:
        return Checked(verified=0, notes=[f"this engine has no chain {iptables.PARENT}, so no rule closes the stack"])
    if found.is_closed_to(newest_releases(running.state_directory)):
        return Checked()
    evidence = found.bypass or "the chain holds other rules, too few rules, or is not called before a rule that decides"
    wrong = "the rules of the stack firewall are not in place"
    return Checked([Finding("stack-firewall", found.chain, wrong, evidence, ("./sse up",))], 0)


KIND = Kind("stack-firewall", "firewall", together(check))
