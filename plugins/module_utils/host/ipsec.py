# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether a host can encrypt an overlay: what the engine asks of the kernel when the first container joins one.

An engine asks nothing before, so the first task would fail on a host without (moby, drivers/overlay/encryption.go).
Everything is tried in a network namespace of its own, which ends with the try.
"""

from __future__ import annotations

import shutil
from typing import NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host import iptables
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4

KEY = "0x" + "11" * 20  # AES of 128 bits, and a salt of 32
STATE = (
    *("ip", "xfrm", "state", "add", "src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "spi", "0x5353"),
    *("mode", "transport", "aead", "rfc4106(gcm(aes))", KEY, "64"),
)
VXLAN = ("-p", "udp", "--dport", "4789")
# The engine marks the packets of one network, by the first that works.
MATCHES = (("-m", "u32", "--u32", "0>>22&0x3C@12&0xFFFFFF00=0x100"), ("-m", "bpf", "--bytecode", "1,6 0 0 65535"))
PLAIN = ("-t", "filter", "-A", "INPUT", *VXLAN, "-m", "policy", "--dir", "in", "--pol", "none", "-j", "DROP")


class Tried(NamedTuple):
    """How a command ended."""

    code: int
    said: str


def lacks() -> str:
    """Say why this host cannot encrypt an overlay; empty where it can."""
    if not shutil.which("ip", path=iptables.PATH):
        return "it has no program ip, by which that is tried (package iproute2)"
    kernel = apart(*STATE)
    if kernel.code:
        return (
            f"its kernel has no ESP with AES-GCM (CONFIG_XFRM_USER, CONFIG_INET_ESP, CONFIG_CRYPTO_GCM): {kernel.said}"
        )
    program = iptables.program(IPV4) or next(iter(iptables.programs(IPV4)), "")
    if not program:
        return "it has no iptables, by which the engine marks what is to be encrypted"
    marks = [
        apart(program, "-t", "mangle", "-A", "OUTPUT", *VXLAN, *one, "-j", "MARK", "--set-mark", "1") for one in MATCHES
    ]
    if all(one.code for one in marks):
        return f"its iptables matches neither by u32 nor by bpf (xt_u32, xt_bpf): {marks[-1].said}"
    plain = apart(program, *PLAIN)
    return f"its iptables does not match by policy (xt_policy): {plain.said}" if plain.code else ""


def apart(*command: str) -> Tried:
    """Run a command where it changes nothing of this host."""
    done = iptables.run("unshare", "--net", *command)
    lines = done.stderr.strip().splitlines()
    return Tried(done.returncode, lines[0].rstrip(".") if lines else f"{command[0]} ended with {done.returncode}")
