"""Which iptables programs a host has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host import iptables
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV6

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_each_program_is_asked_once_by_its_usual_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Debian's alternatives have it: each program would be started for each chain that is looked for."""
    for name in ("xtables-nft-multi", "xtables-legacy-multi"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "ip6tables-nft").symlink_to("xtables-nft-multi")
    (tmp_path / "ip6tables-legacy").symlink_to("xtables-legacy-multi")
    (tmp_path / "ip6tables").symlink_to("ip6tables-nft")
    monkeypatch.setattr(iptables, "PATH", str(tmp_path))
    assert iptables.programs(IPV6) == [str(tmp_path / "ip6tables"), str(tmp_path / "ip6tables-legacy")]
    (tmp_path / "ip6tables").unlink()
    assert iptables.programs(IPV6) == [str(tmp_path / "ip6tables-nft"), str(tmp_path / "ip6tables-legacy")]
