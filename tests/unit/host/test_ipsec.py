"""What a host lacks to encrypt an overlay, by what the commands say that the engine's own steps need."""

from __future__ import annotations

import os

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import ipsec, iptables
from ansible_collections.sse.platform.plugins.module_utils.host.ipsec import Tried, lacks


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        ((), ""),
        (("xfrm",), "its kernel has no ESP with AES-GCM"),
        (("u32",), ""),
        (("u32", "bpf"), "its iptables matches neither by u32 nor by bpf"),
        (("policy",), "its iptables does not match by policy"),
    ],
)
def test_each_thing_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, refused: tuple[str, ...], said: str
) -> None:
    def apart(*command: str) -> Tried:
        return Tried(1, "not found") if set(refused) & set(command) else Tried(0, "")

    monkeypatch.setattr(ipsec, "apart", apart)
    monkeypatch.setattr(ipsec.shutil, "which", lambda *_, **__: "/sbin/ip")
    monkeypatch.setattr(iptables, "programs", lambda _: ["/sbin/iptables"])
    monkeypatch.setattr(iptables, "program", lambda _: "")
    found = lacks()
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_a_host_without_the_programs_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipsec.shutil, "which", lambda *_, **__: None)
    assert lacks() == "it has no program ip, by which that is tried (package iproute2)"


def test_the_kernel_of_this_machine_encrypts_an_overlay() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may ask the kernel for a security association")
    if why := lacks():
        pytest.skip(f"encrypted overlays cannot be tried on this machine: {why}")
