"""Doctor finds every fault that is injected and the command that mends it, and nothing on a healthy host."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.sse.platform.tests.integration.sickroom import PORTS, PREFIX, Sickroom, Told, findings
from ansible_collections.sse.platform.tests.integration.stack import Stack, eventually, tool

# subject, rule, and what the finding must say
FAULTS = [
    ("dr-network", "network-foreign", "did not make this one"),
    ("SSE-dr", "firewall-open", "chain SSE-dr is missing"),
    ("dr-conflict", "subnet-conflict", "interface drtun0 (10.68.102.5/24)"),
    ("dr-jumbo", "subnet-conflict", "through drtun0"),
    ("dr-conflict", "unused-network", "no container is on it"),
    ("dr-needed", "unused-network", "dr-needing"),
    ("dr-gone", "network-missing", "dr-orphan"),
    ("dr-jumbo", "mtu", "9000"),
    ("dr-small", "mtu", "1200"),
    ("dr-stale", "stale-endpoint", "its network interface does not exist"),
    ("dr-bare", "bridge-address", "has lost the address 10.68.108.1/24"),
    ("dr-down", "bridge-down", "is down"),
    ("dr-client", "listens-on-loopback", "dr-loopback listens on 127.0.0.1 only"),
    ("dr-client", "not-listening", "dr-deaf does not listen on port 8000"),
    ("dr-client", "unhealthy", "dr-sick is unhealthy"),
    ("dr-client", "unexplained", "dr-hung listens on 8000"),
    ("dr-client", "stopped", "dr-halted does not run"),
    ("dr-signalled", "restart-policy", "with docker kill"),
    ("dr-looping", "restart-loop", "it ends and is started again and again"),
    ("dr-client", "name-not-attached", "it shares no network with dr-apart"),
    ("dr-client", "name-stopped", "dr-stopped does not run"),
    ("dr-stopped", "not-running", "exited, exit code 3"),
    ("dr-needing", "not-running", "created"),
    ("dr-halted", "not-running", "created"),
    ("dr-absent", "not-running", "this container does not exist"),
    ("dr-client", "firewall", "DOCKER-USER"),
    ("dr-client", "firewall", "a firewall rule inside dr-inner"),
    ("dr-client", "name-alias", "dr-aliasless does not have this alias"),
    ("dr-client", "name-stolen", "dr-thief has"),
    ("dr-bridged", "name-default-bridge", "the default bridge does not resolve names"),
    ("dr-mute", "name-dns-silent", "127.0.0.11"),
    ("dr-pinned", "old-address", "/etc/hosts"),
    ("dr-nginx", "old-address", "no container has that address now"),
    ("dr-internal", "not-published", "internal networks only"),
    ("dr-unplugged", "not-published", "the engine publishes it nowhere"),
    ("dr-bound", "port-bound", f"(pid LISTENER) holds 127.0.0.1:{PORTS[0]}"),
    ("dr-second", "port-bound", f"container dr-loopback holds 127.0.0.1:{PORTS[1]}"),
    ("dr-loopback", "listens-on-loopback", f"port {PORTS[1]} of the host"),
    ("dr-deaf", "not-listening", f"port {PORTS[2]} of the host"),
    ("dr-shut", "firewall", "raw OUTPUT"),
    ("dr-private", "port-on-loopback", "the settings ask for 0.0.0.0"),
    ("dr-hostmode", "host-mode-on-loopback", f"127.0.0.1:{PORTS[7]}"),
    ("dr-guest", "host-service", f"port {PORTS[8]} listens on loopback only"),
    ("dr-guest", "host-service", f"nothing listens on port {PORTS[9]}"),
    ("STATE", "disk-full", "0 MiB of 2 MiB"),
    ("STATE", "inodes-full", "0 of 40 inodes"),
]
# The commands of these findings only show where to look.
ONLY_SHOWN = {"not-listening", "unhealthy", "unexplained", "name-stolen", "name-stopped", "not-running"}
# Subjects that belong to no stack: others may use this engine, too.
HOST = ("engine", "kernel", "host", "iptables", "releases", "/")


@pytest.fixture(scope="module")
def sick(deployed: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sickroom]:
    """A host with every fault at once; the stack of the test session on it is healthy."""
    images = [deployed.container(one).attrs["Image"] for one in ("app-1", "nginx")]
    with Sickroom(tmp_path_factory.mktemp("dr") / "state", *images) as room:
        room.fall_sick()
        yield room


@pytest.fixture(scope="module")
def told(sick: Sickroom) -> list[Told]:
    """The findings of doctor on the sick host."""
    run = sick.doctor()
    assert run.code != 0, run.output
    return findings(run.output)


@pytest.mark.parametrize(("subject", "rule", "said"), FAULTS)
def test_a_fault_is_found_with_its_evidence(
    sick: Sickroom, told: list[Told], subject: str, rule: str, said: str
) -> None:
    subject = str(sick.state) if subject == "STATE" else subject
    said = said.replace("LISTENER", str(sick.listeners[PORTS[0]]))
    found = [one for one in told if (one.subject, one.rule) == (subject, rule)]
    assert any(said in f"{one.wrong} {one.evidence}" for one in found), "\n".join(map(str, told))
    assert all(one.evidence and one.mend for one in found)


def test_nothing_else_is_found_in_the_sick_part(sick: Sickroom, told: list[Told]) -> None:
    expected = {(str(sick.state) if subject == "STATE" else subject, rule) for subject, rule, _ in FAULTS}
    extra = [one for one in told if one.subject.startswith("dr-") and (one.subject, one.rule) not in expected]
    assert extra == []


def test_fix_mends_what_carries_the_stacks_label_and_changes_nothing_else(sick: Sickroom, told: list[Told]) -> None:
    def ends(found: list[Told]) -> set[tuple[str, str]]:
        # What other tests make and remove beside this one is found too, and comes and goes.
        return {(one.subject, one.rule) for one in found if one.subject.startswith("dr-")}

    before = sick.seen()
    run = sick.doctor(doctor_fix=True)
    ran = [line.strip() for line in run.output.splitlines() if line.strip().startswith("ran: ")]
    network, stale = "dr-network", "dr-stale"
    bridges = [line for line in ran if line.startswith("ran: ip ")]
    assert sorted(" ".join(line.split()[2:4]) for line in bridges) == ["address replace", "link set"], run.output
    docker = [line for line in ran if line not in bridges]
    assert [line.split()[5:] for line in docker] == [[network, stale], [network, stale]], run.output
    mended = {(stale, "stale-endpoint"), ("dr-bare", "bridge-address"), ("dr-down", "bridge-down")}
    assert ends(told) - ends(findings(run.output)) == mended
    assert sick.seen() == before


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("dr-client", "10.68.106.2:8000", "it shares no network with dr-apart [not-same-network]"),
        ("dr-client", f"{PREFIX}.252:8000", "no container has this address [no-such-address]"),
        ("dr-client", "elsewhere:8000", "no container has this name [name-unknown]"),
    ],
)
def test_an_undeclared_connection_is_explained_too(sick: Sickroom, source: str, target: str, said: str) -> None:
    run = tool(sick.stack, "probe", source, target)
    assert run.returncode == 2
    assert said in run.stdout, run.stdout + run.stderr


def test_a_detached_replica_is_the_one_finding_and_its_command_brings_it_back(stack: Stack) -> None:
    replica, network = stack.container("app-1"), f"{stack.name}-network"
    stack.engine.networks.get(network).disconnect(replica)
    told = [one for one in findings(stack.play("doctor").output) if one.subject.startswith(f"{stack.name}-")]
    assert [(one.subject, one.rule) for one in told] == [(replica.name, "detached")]
    assert "because of that" in told[0].evidence
    subprocess.run(["sh", "-c", told[0].mend[0]], check=True, capture_output=True)
    eventually(lambda: stack.ready(1), "the replica is ready again")
    assert stack.play("drift").code == 0


def test_a_damaged_release_and_a_subnet_of_another_network_are_found(deployed: Stack, tmp_path: Path) -> None:
    release = tmp_path / "releases" / "dr" / "0001.json"
    release.parent.mkdir(parents=True)
    release.write_text('{"format": ')
    asked = {"stack_name": "dr", "network_name": "dr-none", "network_subnet": f"{deployed.prefix}.0/24"}
    output = deployed.play("doctor", stack_state_directory=str(tmp_path), **asked).output
    told = {(one.subject, one.rule): one for one in findings(output)}
    assert f"{release} is damaged" in told["releases", "releases"].evidence
    conflict = told["dr-none", "subnet-conflict"]
    assert f"overlaps Docker network {deployed.name}-network" in conflict.evidence
    assert "-e network_subnet=" in conflict.mend[1]


def test_the_commands_of_a_finding_mend_it(sick: Sickroom, told: list[Told]) -> None:
    ours = [one for one in told if one.subject.startswith("dr-") and one.rule not in ONLY_SHOWN]
    mended = [
        one for one in ours if not any(line.startswith("#") or "./sse" in line or "..." in line for line in one.mend)
    ]
    assert len({one.rule for one in mended}) >= 9
    for one in mended:
        for line in one.mend:
            ran = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, timeout=120)
            assert ran.returncode == 0, f"{one}: {line}: {ran.stderr}"
    left = {one[:3] for one in findings(sick.doctor().output)}
    assert {one[:3] for one in mended} & left == set()


def test_a_healthy_stack_has_no_finding(deployed: Stack) -> None:
    found = findings(deployed.play("doctor").output)
    assert [one for one in found if one.subject.startswith(("it-", *HOST))] == []


def test_without_a_release_the_stack_has_no_finding_either(deployed: Stack, tmp_path: Path) -> None:
    found = findings(deployed.play("doctor", stack_state_directory=str(tmp_path / "none" / "state")).output)
    assert [one for one in found if one.subject.startswith("it-")] == []


CONNECTIONS = [
    ("app-1", "app-2:8000/health/live", 0, ["resolve", "10.88.0.22", "connect", "ok", "http", "200"]),
    ("host", "127.0.0.1:18080", 0, ["ok"]),
    ("app-1", "redis", 0, ["redis:6379", "ok"]),
    ("app-1", "kafak:9092", 2, ["did you mean kafka? [name-typo]"]),
    ("app-1", "it-kafka:9093", 2, ["it-kafka listens on 127.0.0.1 only"]),
    ("host", "127.0.0.1:8000", 2, ["it-app-", "does not publish it"]),
    ("nobody", "kafka:9092", 1, ["no container is called nobody", "it-app-1"]),
    ("app-1", "kafka:70000", 1, ["'kafka:70000' is not valid"]),
]


@pytest.mark.parametrize(("source", "target", "code", "said"), CONNECTIONS)
def test_a_connection_is_tried_step_by_step_and_explained_where_it_fails(
    deployed: Stack, source: str, target: str, code: int, said: list[str]
) -> None:
    run = deployed.tool("probe", source, target)
    assert run.returncode == code, run.stdout + run.stderr
    assert all(part in run.stdout + run.stderr for part in said), run.stdout + run.stderr


def test_a_capture_is_bounded_and_shows_who_talked_to_whom(deployed: Stack, tmp_path: Path) -> None:
    path = tmp_path / "nginx.pcap"
    done = threading.Event()

    def talk() -> None:
        while not done.is_set():
            deployed.api("/health/live")

    talker = threading.Thread(target=talk)
    talker.start()
    try:
        run = deployed.tool(
            "capture", "nginx", "--port", "80", "--seconds", "60", "--size", "20000", "--write", str(path)
        )
    finally:
        done.set()
        talker.join()
    assert run.returncode == 0, run.stderr
    talked = r"tcp +10\.88\.0\.1 -> 10\.88\.0\.10:80: \d+ packets, .* opened, \d+ accepted"
    assert re.search(talked, run.stdout), run.stdout
    assert re.search(r"\d+ packets, then the file was full: ", run.stdout), run.stdout
    assert path.stat().st_mode & 0o777 == 0o600
    body = path.read_bytes()
    assert len(body) <= 20000
    assert body[:4] == bytes.fromhex("4d3cb2a1")  # pcap with nanoseconds, little-endian
    assert b"GET /api/v1/health/live" in body


def test_a_capture_refuses_a_wrong_parameter_by_name(deployed: Stack) -> None:
    run = deployed.tool("capture", "nginx", "--seconds", "3000")
    assert run.returncode == 1
    assert "seconds is 3000: expected an integer from 1 to 300" in run.stderr
