# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What is there of each container, asked of the engine, the kernel and the disk; what differs is mended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.engine import answers
from ansible_collections.sse.platform.plugins.module_utils.host import hosts_file, kept_down, plugged
from ansible_collections.sse.platform.plugins.module_utils.host.procfs import read
from ansible_collections.sse.platform.plugins.module_utils.model import repair

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Present
    from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Network, Spec

# The kernel writes this behind the root of a mount whose directory was deleted (dentry_path in fs/d_path.c).
DELETED = "//deleted"


def mended(
    actions: list[Action],
    containers: Mapping[str, Spec],
    engine: Engine | None,
    files: Files,
    made_anew: set[str],
    declared: Mapping[str, Network] = MappingProxyType({}),
) -> list[Action]:
    """Add to each action on a container that stays what must be mended at it.

    :param engine: None where none answers; then no container is there, either
    :param made_anew: names of the networks that this run makes, where it has not made them yet
    :param declared: the networks of the release
    """
    if engine is None:
        return actions
    networks = {name: key for name, key in engine.network_ids().items() if name not in made_anew}
    return [
        one
        if one.kind not in {"keep", "reload", "start", "restart"}
        else with_repairs(
            one, containers[one.container], look(engine, one.id, containers[one.container], declared), networks, files
        )
        for one in actions
    ]


def told_anew(actions: list[Action], differences: Callable[[str, str], list[str]]) -> list[Action]:
    """Have those mended whose server has something else than its files say, because somebody told it so.

    :param differences: says what differs, by the id and the name of a container
    """

    def asked(one: Action) -> Action:
        if one.kind not in {"keep", "mend"} or any(each.kind == "write" for each in one.repairs):
            return one  # its program runs anyway, or it can't be asked
        found = differences(one.id, one.container)
        repairs = tuple(repair.Repair("tell", line, line) for line in found)
        mends = one._replace(kind="mend", reasons=[*one.reasons, *found], repairs=(*one.repairs, *repairs))
        return mends if found else one

    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(asked, actions))


def with_repairs(action: Action, spec: Spec, present: Present, networks: Mapping[str, str], files: Files) -> Action:
    """Return the smallest action that mends a container.

    A container that is unhealthy and was changed is mended first: its restart would cut streams and help nobody.
    """
    if reasons := repair.reasons_to_replace(present):
        return action._replace(kind="replace", reasons=[*action.reasons, *reasons])
    found = list(repair.repairs(spec, present, networks))
    if action.kind == "reload":  # it gets all its files anyway
        if present.lost_mounts or present.stays_down:
            return action._replace(kind="replace", reasons=[*action.reasons, *(one.reason for one in found)])
        return action._replace(reasons=[*action.reasons, *(one.reason for one in found)], repairs=tuple(found))
    found += files.differences(action.container, spec, present.started)
    lost = sorted(present.lost_mounts - {one.subject for one in found})
    found += [
        repair.Repair("write", path, f"{path}: its directory was deleted while it ran", restart=True) for path in lost
    ]
    if not found:
        return action
    kind = action.kind
    read = tuple(f"{target}/" for target in (*spec["config"], *spec["secrets"]))
    beside = any(one.restart and not one.subject.startswith(read) for one in found)  # a directory that is made again
    in_place = not (present.lost_mounts or present.stays_down or beside)
    if spec.get("reload") and kind == "keep" and in_place and any(one.subject.startswith(read) for one in found):
        kind = "reload"  # it may have been told to read them since
    elif any(one.restart for one in found) and (kind == "keep" or (kind == "start" and present.started)):
        kind = "restart"  # also of one that is paused: its process would go on with what it has
    elif kind == "keep" or (action.reasons == ["is unhealthy"] and not present.stays_down):
        kind = "mend"
    return action._replace(kind=kind, reasons=[*action.reasons, *(one.reason for one in found)], repairs=tuple(found))


def look(engine: Engine, container: str, spec: Spec, declared: Mapping[str, Network] = MappingProxyType({})) -> Present:
    """Return what is there of a container."""
    inspected = engine.inspect(container)
    pid = inspected["State"]["Pid"]
    found = answers.present(inspected, lost_mounts(pid), stays_down=kept_down.stays_down(inspected))
    if pid and declared:
        bridges = {name: one.get("device", "") for name, one in declared.items()}
        ways_out = [name for name, one in declared.items() if not one["internal"]]
        addresses, addresses6 = answers.addresses(inspected), answers.addresses(inspected, "GlobalIPv6Address")
        found = found._replace(unplugged=plugged.unplugged(pid, addresses, bridges, addresses6, ways_out))
    if pid:
        found = found._replace(misled=tuple(hosts_file.misled(inspected.get("HostsPath", ""), spec["hosts"])))
    if found.limits != repair.limits(spec):
        kept = engine.kept_limits()
        found = found._replace(limits={name: value for name, value in found.limits.items() if name in kept})
    return found


def lost_mounts(pid: int) -> frozenset[str]:
    """Return where a process has directories mounted that were deleted on the host (proc_pid_mountinfo(5)).

    :param pid: 0 for a container that does not run
    """
    lines = [line.split() for line in read(f"/proc/{pid}/mountinfo").splitlines()] if pid else []
    return frozenset(fields[4] for fields in lines if fields[3].endswith(DELETED))
