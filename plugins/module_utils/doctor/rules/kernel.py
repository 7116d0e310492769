"""The machine below the engine: forwarding, bridge filtering, room on its disks."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Json
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding

MIB = 2**20
# Below both, services begin to fail: Kafka and Redis refuse writes, the engine can't unpack an image.
LOW_SHARE = 0.05
LOW_BYTES = 1024 * MIB
LOW_INODES = 0.02


def forwarding(facts: Json) -> Iterator[Finding]:
    """See that the kernel passes packets between interfaces: without, published ports and ways out are dead."""
    if facts["host"]["engine"] and facts["kernel"]["ip_forward"] == "0":
        mend = (
            "sysctl -w net.ipv4.ip_forward=1",
            "grep -rn ip_forward /etc/sysctl.conf /etc/sysctl.d /run/sysctl.d /usr/lib/sysctl.d",
        )
        evidence = "net.ipv4.ip_forward = 0: somebody switched it off after the engine had switched it on"
        yield Finding("ip-forward", "kernel", "it does not forward packets of containers", evidence, mend)


def bridge_filter(facts: Json) -> Iterator[Finding]:
    """See that the firewall sees packets inside a bridge, where something here relies on it."""
    engine, state = facts["host"]["engine"], facts["kernel"]["bridge_nf"]
    if engine is None or state == "1":
        return
    # Without a userland proxy a container reaches a port that its own network publishes only through these rules.
    needs = [] if engine["userland_proxy"] else ["userland-proxy is off"]
    needs += [f"network {one['name']} has icc off" for one in facts["networks"] if not one["icc"]]
    if not needs:
        return
    mend = ["sysctl -w net.bridge.bridge-nf-call-iptables=1"]
    if state == "":
        mend.insert(0, "modprobe br_netfilter && echo br_netfilter >/etc/modules-load.d/br_netfilter.conf")
        evidence = "module br_netfilter is not loaded"
    else:
        evidence = "net.bridge.bridge-nf-call-iptables = 0"
    wrong = "rules of the firewall don't hold inside a bridge"
    yield Finding("bridge-nf", "kernel", wrong, f"{evidence}, and {'; '.join(needs)}", tuple(mend))


def room(facts: Json) -> Iterator[Finding]:
    """See that the file systems of the engine and of the stack have room, in bytes and in inodes."""
    for disk in facts["disks"]:
        path = disk["path"]
        if disk["bytes_free"] < min(LOW_BYTES, LOW_SHARE * disk["bytes"]):
            evidence = f"{disk['bytes_free'] // MIB} MiB of {disk['bytes'] // MIB} MiB are free"
            look = f"du -xh --max-depth=2 {path} | sort -h | tail"
            mend = ("docker system df", look, "docker builder prune  # only caches of builds go")
            yield Finding("disk-full", path, "its disk is nearly full", evidence, mend)
        if disk["inodes"] and disk["inodes_free"] < LOW_INODES * disk["inodes"]:
            evidence = f"{disk['inodes_free']} of {disk['inodes']} inodes are free: no new file can be made"
            mend = ("docker system df", f"du -x --inodes --max-depth=2 {path} | sort -n | tail")
            yield Finding("inodes-full", path, "its file system has no inodes left", evidence, mend)


RULES = (forwarding, bridge_filter, room)
