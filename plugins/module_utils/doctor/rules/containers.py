# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The containers that the newest releases declare: each exists, is on its networks, and runs."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.doctor import commands, lookup
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules.ports import PORT_TAKEN
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Facts
from ansible_collections.sse.platform.plugins.module_utils.model import connections
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, docker
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL


def none_restarts_again_and_again(facts: Facts) -> Iterator[Finding]:
    """Check that no container is in a restart loop; what fails around it is a consequence."""
    for name in lookup.restarting(facts):
        one = lookup.container(facts, name)
        if one is not None:
            evidence = f"its last exit code is {one['exit_code']} {one['error']}".rstrip() + consequences(facts, name)
            wrong = "it ends and is started again and again"
            yield Finding("restart-loop", name, wrong, evidence, (commands.show_log(name), "./sse up"))


def none_is_detached(facts: Facts) -> Iterator[Finding]:
    """Check that each declared container is on its networks; what fails around it is a consequence."""
    specs = connections.containers_of(facts["releases"])
    for name, networks in lookup.detached(facts).items():
        one, spec = lookup.container(facts, name), specs[name]
        addresses6 = spec.get("networks6", {})
        mend = [
            docker(
                *("network", "connect"),
                *(f"--ip={address}" if (address := spec["networks"][network]) else "",),
                *(f"--ip6={addresses6[network]}" if network in addresses6 else "",),
                *(f"--alias={alias}" for alias in spec["aliases"]),
                *(network, name),
            )
            for network in networks
        ]
        if one is not None and not one["running"]:
            mend.append(commands.start(one))
        evidence = f"its release puts it there, and the engine does not{consequences(facts, name)}"
        wrong = f"it was taken off the network {lookup.listed(networks)}"
        yield Finding("detached", name, wrong, evidence, tuple(mend), fixable=True)


def consequences(facts: Facts, name: str) -> str:
    """Say how much fails because of a container; those findings are left out."""
    failed = [one for one in facts["connections"] if one.failed and name in {one.source, one.target}]
    silent = [one for one in facts["ports"] if one.error and one.container == name]
    counts = [("connection", len(failed)), ("published port", len(silent))]
    told = [f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts if count]
    fails = "fails" if len(failed) + len(silent) == 1 else "fail"
    return f"; because of that, {' and '.join(told)} of it {fails}" if told else ""


def declared_run(facts: Facts) -> Iterator[Finding]:
    """Check that each declared container runs; other rules tell of one that misses its network or its port."""
    if facts["host"]["engine"] is None:
        return
    networks = {one["id"] for one in facts["networks"]}
    disturbed = lookup.disturbed(facts)
    for name in connections.containers_of(facts["releases"]):
        one = lookup.container(facts, name)
        if one is None:
            evidence = "the newest release declares it, and the engine does not have it"
            yield Finding("not-running", name, "this container does not exist", evidence, ("./sse up",))
        elif one["ours"] and not one["running"] and name not in disturbed:
            without_network = any(each["id"] and each["id"] not in networks for each in one["networks"].values())
            if without_network or any(words in one["error"] for words in PORT_TAKEN):
                continue
            evidence = f"its status is {one['status']}, exit code {one['exit_code']} {one['error']}".rstrip()
            mend = (commands.show_log(name), commands.start(one))
            yield Finding("not-running", name, "this container does not run", evidence, mend)


def restart_policies_hold(facts: Facts) -> Iterator[Finding]:
    """Check that the engine would start each running container again, as its restart policy says."""
    for one in facts["containers"]:
        if not one["running"] or not one["stays_down"]:
            continue
        wrong = "its restart policy no longer holds: when it ends, or the host starts again, it stays down"
        evidence = "the engine counts it as stopped by hand, because somebody sent it a signal with docker kill"
        service = one["labels"].get(f"{LABEL}container", one["name"])
        mend = f"./sse restart {service}" if one["ours"] else docker("restart", one["name"])
        hint = "# ./sse reload NAME has a service read its files again, and leaves the policy as it is"
        yield Finding("restart-policy", one["name"], wrong, evidence, (mend, *((hint,) if one["ours"] else ())))


RULES = (none_restarts_again_and_again, none_is_detached, declared_run, restart_policies_hold)
