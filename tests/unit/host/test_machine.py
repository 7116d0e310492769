"""What is read from a host, from samples of what kernels and engines say."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import machine, netlink


def test_the_kernel_tells_its_addresses_and_routes() -> None:
    loopback = next(one for one in netlink.interfaces() if one["name"] == "lo")
    assert "127.0.0.1/8" in loopback["addresses"]
    table = Path("/proc/net/route").read_text().splitlines()[1:]
    assert {line.split()[0] for line in table} <= {route["device"] for route in netlink.routes()}


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("192.0.2.9 50000 10.0.0.1 22", "192.0.2.9"),
        ("2001:db8::9 50000 2001:db8::1 22", "2001:db8::9"),
        ("fe80::9%eth0 50000 fe80::1%eth0 22", "fe80::9%eth0"),
        ("UNKNOWN 65535 UNKNOWN 65535", ""),
        ("", ""),
    ],
)
def test_who_comes_by_ssh_has_an_address_or_comes_over_no_network(
    monkeypatch: pytest.MonkeyPatch, said: str, address: str
) -> None:
    monkeypatch.setattr(machine, "read", lambda path: f"HOME=/root\0SSH_CONNECTION={said}\0")
    assert machine.ssh_client() == address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n', ("debian", "12", "bookworm")),
        ("# comment\nID=ubuntu\nVERSION_ID='24.04'\nVERSION_CODENAME=noble", ("ubuntu", "24.04", "noble")),
        ("ID=debian\n", ("debian", "", "")),
        ("", ("unknown", "", "")),
    ],
)
def test_a_distribution_is_read_from_os_release(text: str, expected: tuple[str, str, str]) -> None:
    assert tuple(machine.distribution(text).values()) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version=1\ncluster.id=abc\nnode.id=1\n", {"version": "1", "cluster.id": "abc", "node.id": "1"}),
        ("#comment\nversion=0\ncluster.id=xyz\nbroker.id=0\n", {"version": "0", "cluster.id": "xyz", "broker.id": "0"}),
        ("version=1\n", {"version": "1"}),
    ],
)
def test_the_marker_of_data_is_read(tmp_path: Path, text: str, expected: Any) -> None:
    directory = tmp_path / "data" / "mine-kafka" / "kafka"
    directory.mkdir(parents=True)
    (directory / "meta.properties").write_text(text)
    assert machine.data_markers(str(tmp_path)) == {"mine-kafka/kafka": expected}
    assert machine.data_markers(str(tmp_path / "other")) == machine.data_markers(None) == {}


def test_free_space_is_told_of_paths_that_do_not_exist_yet(tmp_path: Path) -> None:
    path = str(tmp_path / "a" / "b")
    assert machine.disk_free_bytes([path])[path] > 0


@pytest.mark.parametrize(("files", "free", "told"), [(100, 7, {"/x": 7}), (100, 0, {"/x": 0}), (0, 0, {})])
def test_a_file_system_that_does_not_count_its_files_is_not_a_full_one(
    monkeypatch: pytest.MonkeyPatch, files: int, free: int, told: dict[str, int]
) -> None:
    monkeypatch.setattr(machine.os, "statvfs", lambda _: SimpleNamespace(f_files=files, f_favail=free))
    assert machine.disk_free_inodes(["/x"]) == told


@pytest.mark.parametrize(
    ("below", "expected"),
    [
        ("elsewhere", ("/", "ext4", False)),
        ("my disk/deep/down", ("my disk", "drvfs", False)),
        ("ro/x", ("ro", "ext4", True)),
        ("rough", ("/", "ext4", False)),
        ("covered", ("covered", "xfs", False)),
        ("closed/x", ("closed", "ext4", False)),
    ],
)
def test_the_file_system_of_a_path_is_the_one_mounted_nearest_and_last(
    tmp_path: Path, below: str, expected: tuple[str, str, bool]
) -> None:
    base = str(tmp_path.resolve())
    for name in ("my disk", "ro", "rough", "covered", "closed"):
        (tmp_path / name).mkdir()
    mountinfo = f"""\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
23 22 0:2 / {base}/my\\040disk rw,noatime - 9p C:\\134 rw,aname=drvfs;path=C:;uid=0
24 22 8:2 / {base}/ro rw - ext4 /dev/sdb1 ro
25 22 8:3 / {base}/covered ro - ext4 /dev/sdc1 ro
26 22 8:4 / {base}/covered rw master:2 propagate_from:1 - xfs /dev/sdd1 rw
27 22 8:5 / {base}/closed rw,nosuid,nodev,noexec - ext4 /dev/sde1 rw
"""
    place, kind, read_only = expected
    place = place if place == "/" else f"{base}/{place}"
    found = machine.mount_of(f"{base}/{below}", mountinfo)
    assert found == {"place": place, "type": kind, "read_only": read_only, "no_exec": below == "closed/x"}


def test_this_host_has_a_file_system() -> None:
    assert machine.mount_of("/", Path("/proc/self/mountinfo").read_text())["type"]
    assert machine.mount_of("/nowhere/at/all", "") == {"place": "", "type": "", "read_only": False, "no_exec": False}


def test_an_engine_is_described_by_its_answers(engine_socket: tuple[str, dict[str, Any]]) -> None:
    path, answers = engine_socket
    bridge = {
        "Name": "sse-network",
        "Id": "0123456789abcdef",
        "Driver": "bridge",
        "Internal": False,
        "Labels": None,
        "Options": None,
    }
    pools = [{"Subnet": "10.99.0.0/24", "Gateway": "10.99.0.1", "IPRange": "10.99.0.128/25"}]
    ports = [
        {"IP": "127.0.0.1", "PublicPort": 6379, "PrivatePort": 6379, "Type": "tcp"},
        {"PrivatePort": 1, "Type": "tcp"},
    ]
    answers |= {
        "/version": {"Version": "26.1", "ApiVersion": "1.45"},
        "/info": {"LiveRestoreEnabled": True, "Swarm": {"LocalNodeState": "error", "Error": "no key"}},
        "/networks": [{**bridge, "IPAM": {"Config": pools}}, {**bridge, "Name": "host", "IPAM": {"Config": None}}],
        "/containers/json?all=1": [
            {
                "Names": ["/sse-redis"],
                "Image": "redis:8",
                "Labels": {"a": "b"},
                "State": "running",
                "Ports": ports,
                "NetworkSettings": {"Networks": {"sse-network": {}}},
            }
        ],
        "/images/json": [{"Id": "sha256:1", "RepoTags": ["redis:8", "<none>:<none>"], "RepoDigests": None}],
    }
    fact = machine.observe(socket=path)
    assert fact["engine"] is not None
    assert fact["engine"]["version"] == "26.1"
    assert fact["engine"]["live_restore"] is True
    assert (fact["engine"]["swarm"], fact["engine"]["swarm_error"]) == ("error", "no key")
    assert fact["images"] == {"redis:8": "sha256:1"}
    assert fact["containers"] == [
        {
            "name": "sse-redis",
            "image": "redis:8",
            "labels": {"a": "b"},
            "ports": [{"host_ip": "127.0.0.1", "host_port": 6379, "protocol": "tcp"}],
            "state": "running",
        }
    ]
    network = fact["networks"][0]
    assert network["containers"] == ["sse-redis"]
    assert (network["subnets"], network["gateway"], network["ip_range"]) == (
        ["10.99.0.0/24"],
        "10.99.0.1",
        "10.99.0.128/25",
    )
    assert network["device"] == "br-0123456789ab"


def test_a_host_without_an_engine_is_observed_all_the_same(tmp_path: Path) -> None:
    fact = machine.observe(state_directory=str(tmp_path / "state"), socket=str(tmp_path / "none.sock"))
    assert fact["engine"] is None
    assert fact["engine_error"]
    assert fact["networks"] == fact["containers"] == []
    assert fact["memory_bytes"] > 0
    assert fact.get("cores", 0) > 0


def test_an_engine_that_answers_with_errors_counts_as_none(engine_socket: tuple[str, dict[str, Any]]) -> None:
    fact = machine.observe(socket=engine_socket[0])
    assert fact["engine"] is None
    assert "500" in fact["engine_error"]


@pytest.mark.parametrize(
    ("node", "hosts", "names"),
    [
        ("vm", "127.0.0.1 localhost\n127.0.1.1\tvm.example.org vm # vm.of.a.comment\n", ["vm", "vm.example.org"]),
        ("VM.example.org", "127.0.1.1 vm.lan VM\n::1 vm6.lan\n", ["vm.example.org", "vm.lan"]),
        ("vm", "", ["vm"]),
        ("vm", "#\n\n10.0.0.7\n10.0.0.8 other.example.org\n", ["vm"]),
        ("vm", "10.0.0.7 vm.example.org\nFD00:0::7 vm6.lan vm.lan\n", ["vm", "vm.example.org", "vm.lan"]),
        ("vm", "10.0.0.8 vm.example.org vm\nx vm.lan\n", ["vm"]),
        ("stats.lan", "127.0.0.1 localhost stats\n127.0.0.1 stats.tracker.example\n", ["stats.lan"]),
        ("stats", "0.0.0.0 stats.tracker.example\n:: stats.a.example stats\n::1 stats.b.example\n", ["stats"]),
    ],
)
def test_a_host_is_called_by_its_name_and_the_longer_forms_of_it(node: str, hosts: str, names: list[str]) -> None:
    assert machine.own_names(node, hosts, ["127.0.0.1", "10.0.0.7", "::1", "fd00::7"]) == names
