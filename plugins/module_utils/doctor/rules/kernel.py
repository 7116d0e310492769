# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What is below the engine: whether the kernel forwards and filters packets, and whether the disks have room."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Facts
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding

MIB = 2**20
# With less than both, services begin to fail: a broker or a database refuses writes, the engine cannot unpack an image.
LOW_SHARE = 0.05
LOW_BYTES = 1024 * MIB
LOW_INODES = 0.02


def kernel_forwards(facts: Facts) -> Iterator[Finding]:
    """Check that the kernel forwards packets: published ports and connections to the outside need it."""
    if facts["host"]["engine"] and facts["ip_forward"] == "0":
        look = "grep -rn ip_forward /etc/sysctl.conf /etc/sysctl.d /run/sysctl.d /usr/lib/sysctl.d"
        mend = ("sysctl -w net.ipv4.ip_forward=1", look)
        evidence = "net.ipv4.ip_forward = 0; the engine switches it on at its start, so something switched it off since"
        yield Finding("ip-forward", "kernel", "it does not forward the packets of containers", evidence, mend)


def switches_are_set(facts: Facts) -> Iterator[Finding]:
    """Check the other switches of the kernel that the engine had set."""
    told = ("net.ipv4.ip_forward ", "net.bridge.bridge-nf-call-iptables ")
    for one in facts["host_side"]:
        if one.rule in {"ip-forward", "bridge-nf"} and not one.wrong.startswith(told):
            yield Finding(one.rule, one.subject, one.wrong, one.evidence, one.mend)


def bridges_are_filtered(facts: Facts) -> Iterator[Finding]:
    """Check that firewall rules see the packets inside a bridge, where something depends on this."""
    engine, state = facts["host"]["engine"], facts["bridge_nf_call_iptables"]
    if engine is None or state == "1":
        return
    # Without a userland proxy a container reaches a port that its own network publishes only through these rules.
    needed_by = [] if engine["userland_proxy"] else ["userland-proxy is off"]
    needed_by += [f"network {one['name']} has icc off" for one in facts["networks"] if not one["icc"]]
    if not needed_by:
        return
    evidence, mend = "net.bridge.bridge-nf-call-iptables = 0", ["sysctl -w net.bridge.bridge-nf-call-iptables=1"]
    if state == "":
        evidence = "the kernel module br_netfilter is not loaded"
        mend = ["modprobe br_netfilter && echo br_netfilter >/etc/modules-load.d/br_netfilter.conf", *mend]
    wrong = "firewall rules have no effect between two containers of one network"
    yield Finding("bridge-nf", "kernel", wrong, f"{evidence}, and {'; '.join(needed_by)}", tuple(mend))


def disks_have_room(facts: Facts) -> Iterator[Finding]:
    """Check that the file systems of the engine and of the stack have free bytes and free inodes."""
    for disk in facts["disks"]:
        path = disk.path
        if disk.bytes_free < min(LOW_BYTES, LOW_SHARE * disk.bytes):
            evidence = f"{disk.bytes_free // MIB} MiB of {disk.bytes // MIB} MiB are free"
            look = f"du -xh --max-depth=2 {path} | sort -h | tail"
            mend = ("docker system df", look, "docker builder prune  # removes only caches of image builds")
            yield Finding("disk-full", path, "its disk is nearly full", evidence, mend)
        if disk.inodes and disk.inodes_free < LOW_INODES * disk.inodes:
            evidence = f"{disk.inodes_free} of {disk.inodes} inodes are free, and each new file needs one"
            mend = ("docker system df", f"du -x --inodes --max-depth=2 {path} | sort -n | tail")
            yield Finding("inodes-full", path, "its file system has nearly no inodes left", evidence, mend)


RULES = (kernel_forwards, switches_are_set, bridges_are_filtered, disks_have_room)
