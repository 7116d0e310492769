"""Several brokers: when one is in sync, by its own answer, and data that others decided about are not started."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

FILES = Path(__file__).parents[3] / "roles/kafka/files"
PLACE = {"number": 2, "brokers": 3, "port": 9096}


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def numbers(values: list[int]) -> bytes:
    return struct.pack(f">i{len(values)}i", len(values), *values)


def metadata(brokers: int, *partitions: tuple[int, list[int], list[int]]) -> bytes:
    """An answer to Metadata, version 1 (https://kafka.apache.org/protocol): one topic with these partitions."""
    body = struct.pack(">i", brokers)
    for number in range(1, brokers + 1):
        body += struct.pack(">i", number) + text("127.0.0.1") + struct.pack(">i", 9096) + struct.pack(">h", -1)
    body += struct.pack(">i", 1)  # the controller
    body += struct.pack(">ih", 1, 0) + text("events") + b"\0" + struct.pack(">i", len(partitions))
    for number, (leader, replicas, in_sync) in enumerate(partitions):
        body += struct.pack(">hii", 0, number, leader) + numbers(replicas) + numbers(in_sync)
    return body


@pytest.fixture(scope="module")
def program() -> dict[str, Any]:
    """What the program defines, without its last lines, which run it."""
    found: dict[str, Any] = {}
    exec(compile((FILES / "accounts.py").read_text().partition("\ntry:\n    main()")[0], "accounts.py", "exec"), found)
    return found


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (metadata(3, (1, [1, 2, 3], [1, 2, 3])), ""),
        (metadata(3), ""),
        (metadata(3, (1, [1, 3], [1])), ""),  # another one lacks it
        (metadata(2, (1, [1, 2, 3], [1, 2])), "2 of 3 brokers work"),
        (metadata(3, (1, [1, 2, 3], [1, 2, 3]), (1, [1, 2, 3], [1, 3])), "partition 1 of events is not in sync here"),
        (metadata(3, (-1, [1, 2, 3], [2])), "partition 0 of events is not in sync here"),
    ],
)
def test_a_broker_says_what_it_lacks(program: dict[str, Any], answer: bytes, said: str) -> None:
    class Connection:
        def ask(self, key: int, version: int, body: bytes) -> Any:
            assert (key, version, body) == (3, 1, b"\xff\xff\xff\xff")
            return program["Reader"](answer)

    assert program["not_in_sync"](Connection(), PLACE) == said


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (metadata(3, (1, [1, 2, 3], [1, 2, 3])), ["kafka", "kafka-2", "kafka-3"]),
        (metadata(3), ["kafka", "kafka-2", "kafka-3"]),
        (metadata(3, (1, [1, 2, 3], [1, 2, 3]), (1, [1, 2, 3], [1, 3])), ["kafka", "kafka-3"]),
        (metadata(2, (1, [1, 2, 3], [1, 2, 3])), ["kafka", "kafka-2"]),  # the third one does not work
        (metadata(3, (1, [1], [1])), ["kafka"]),
        (metadata(3, (-1, [1, 2, 3], [2]), (1, [1, 2, 3], [1])), []),
    ],
)
def test_a_broker_says_which_ones_have_everything(program: dict[str, Any], answer: bytes, names: list[str]) -> None:
    connection = SimpleNamespace(ask=lambda *_: program["Reader"](answer))
    properties = "a=b\ncontroller.quorum.voters=1@kafka:9093,2@kafka-2:9093,3@kafka-3:9093\nnode.id=2\n"
    assert program["whole"](connection, properties) == names


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([metadata(2, (1, [1, 2, 3], [1, 2]))], ""),  # the one that is away may be why somebody asks
        ([metadata(3, (1, [1, 2], [1])), metadata(3, (1, [1, 2], [1, 2]))], ""),  # it catches up meanwhile
        ([metadata(3, (1, [1, 2], [1]))], "partition 0 of events is not in sync here"),
        ([], "it does not answer: [Errno 111] refused"),
    ],
)
def test_a_broker_that_lags_is_waited_for_a_while(program: dict[str, Any], answers: list[bytes], said: str) -> None:
    left, now = list(answers), [0.0]

    class Connection:
        def __init__(self, _: int) -> None:
            if not answers:
                raise ConnectionRefusedError(111, "refused")

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            now[0] += 5

        def ask(self, *_: object) -> Any:
            return program["Reader"](left.pop(0) if len(left) > 1 else left[0])

    class Clock:
        def monotonic(self) -> float:
            now[0] += 1
            return now[0]

        def sleep(self, _: float) -> None:
            pass

    own = {**program, "Connection": Connection, "time": Clock()}
    lacking = type(program["lacking"])(program["lacking"].__code__, own)
    assert lacking(PLACE, 20.0, False, False) == said


class Start:
    """start-kafka.sh below a directory, with a java that only tells how it was called."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("etc/kafka", "var/lib/kafka", "run/secrets", "tmp", "bin"):
            (directory / name).mkdir(parents=True)
        (directory / "run/secrets/cluster_id").write_text("id")
        java = directory / "bin/java"
        java.write_text(f'#!/bin/sh\ncase "$*" in *format*) touch {directory}/var/lib/kafka/formatted;; esac\n')
        java.chmod(0o755)
        script = (FILES / "start-kafka.sh").read_text()
        script = re.sub(r"/(?=etc/kafka|var/lib/kafka|run/secrets|tmp/)", f"{directory}/", script)
        (directory / "start.sh").write_text(script)

    def run(self, quorum: str) -> subprocess.CompletedProcess[str]:
        (self.directory / "etc/kafka/server.properties").write_text(f"controller.quorum.voters={quorum}\n")
        environment = {"PATH": f"{self.directory}/bin:{os.environ['PATH']}", "KAFKA_COORDINATION": "kraft"}
        environment["KAFKA_JVM_OPTIONS"] = ""
        command = ["sh", str(self.directory / "start.sh")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    @property
    def data(self) -> Path:
        return self.directory / "var/lib/kafka"

    @property
    def properties(self) -> str:
        return (self.directory / "tmp/server.properties").read_text()


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return Start(tmp_path)


THREE = "1@kafka:9093,2@kafka-2:9093,3@kafka-3:9093"


def test_data_are_started_by_those_who_decided_about_them_alone(start: Start) -> None:
    assert start.run(THREE).returncode == 0
    assert (start.data / "formatted").exists()
    (start.data / "meta.properties").write_text("version=1")
    assert start.run(THREE).returncode == 0
    refused = start.run("1@127.0.0.1:9093")
    assert refused.returncode == 1
    assert f"are of {THREE}, and kafka_brokers makes them of one broker: expected kafka_brokers as" in refused.stderr


@pytest.mark.parametrize(("quorum", "code"), [("1@127.0.0.1:9093", 0), (THREE, 1)])
def test_data_of_an_earlier_version_are_those_of_one_broker(start: Start, quorum: str, code: int) -> None:
    (start.data / "meta.properties").write_text("version=1")
    assert start.run(quorum).returncode == code
    assert not (start.data / "formatted").exists()


def test_the_data_of_one_broker_get_nothing_beside_what_kafka_writes(start: Start) -> None:
    for __ in range(2):
        assert start.run("1@localhost:9093").returncode == 0  # the user may name it as he likes
        (start.data / "meta.properties").write_text("version=1")
    assert {path.name for path in start.data.iterdir()} == {"formatted", "meta.properties"}


def test_one_broker_makes_its_password_and_several_have_one_in_common(start: Start) -> None:
    start.run("1@127.0.0.1:9093")
    first = start.properties
    start.run("1@127.0.0.1:9093")
    assert first != start.properties
    assert "listener.name.controller" not in first
    (start.directory / "run/secrets/broker_password").write_text("s3cret")
    start.run(THREE)
    lines = [line for line in start.properties.splitlines() if 'password="s3cret" user_broker="s3cret"' in line]
    assert [line.split(".plain.")[0] for line in lines] == ["listener.name.broker", "listener.name.controller"]


class Brokers:
    """Brokers that are asked by the program: each question answers by the next state, and the last one stays."""

    def __init__(self, program: dict[str, Any], *states: bytes) -> None:
        self.program, self.states, self.now = program, list(states), 0.0
        self.asked: list[tuple[int, bytes]] = []
        self.own = {**program, "Connection": lambda _: self, "time": self, "sizes": lambda _: 0}
        for name in ("keep_on", "gather", "spread"):
            self.own[name] = type(program[name])(program[name].__code__, self.own)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def monotonic(self) -> float:
        self.now += 1
        return self.now

    def sleep(self, _: float) -> None:
        pass

    def ask(self, key: int, _: int, body: bytes, *, flexible: bool = False) -> Any:
        assert flexible is (key != 3)
        self.asked.append((key, body))
        if key == 3:
            return self.program["Reader"](self.states.pop(0) if len(self.states) > 1 else self.states[0])
        empty = struct.pack(">ih", 0, 0) + b"\0\1" if key == 45 else struct.pack(">i", 0) + b"\1"
        return self.program["Reader"](empty)

    @property
    def changes(self) -> list[tuple[int, bytes]]:
        return [one for one in self.asked if one[0] != 3]


ONE_HAS_ALL, COPYING, ALL_HAVE = (
    metadata(3, (1, [1], [1])),
    metadata(3, (1, [1, 2, 3], [1, 3])),
    metadata(3, (1, [1, 2, 3], [1, 2, 3])),
)
FIRST = {**PLACE, "number": 1, "copies": 3, "in_sync": 2}
# https://kafka.apache.org/protocol: lists and texts are one longer than they are, and each ends with its tags.
TO_ALL = bytes.fromhex("00007530 02 07 6576656e7473 02 00000000 04 00000001 00000002 00000003 00 00 00")
TO_FIRST = bytes.fromhex("00007530 02 07 6576656e7473 02 00000000 02 00000001 00 00 00")


def in_sync(number: int) -> bytes:
    return b"\2\4\1\2" + b"\x14min.insync.replicas" + b"\0\2" + str(number).encode() + b"\0\0\0\0"


def test_all_get_what_the_first_broker_had_alone_and_only_then_two_must_have_an_event(program: dict[str, Any]) -> None:
    brokers = Brokers(program, ONE_HAS_ALL, ONE_HAS_ALL, COPYING, COPYING, ALL_HAVE)
    brokers.own["spread"](FIRST)
    assert brokers.changes == [(45, TO_ALL), (44, in_sync(2))]
    assert brokers.asked[-2][0] == 3  # all were in sync before that
    brokers = Brokers(program, ALL_HAVE)
    brokers.own["spread"](FIRST)
    assert brokers.changes == [(44, in_sync(2))]


def test_the_first_broker_gets_everything_before_the_others_go(program: dict[str, Any]) -> None:
    brokers = Brokers(program, metadata(3, (2, [1, 2, 3], [2, 3])), metadata(3, (2, [1, 2], [2])), ONE_HAS_ALL)
    brokers.own["gather"](FIRST)
    assert brokers.changes == [(44, in_sync(1)), (45, TO_FIRST)]
    brokers = Brokers(program, ALL_HAVE)
    for place in (PLACE, {}):
        with pytest.raises(program["RefusedError"], match="to be on the first broker"):
            brokers.own["gather"](place)
    assert not brokers.asked


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([ONE_HAS_ALL, COPYING], r"nothing is copied for 120 s, .*: partition 0 of events \(and 0 more\)"),
        ([metadata(2, (1, [1], [1]))], "2 brokers work"),
    ],
)
def test_a_run_ends_where_nothing_is_copied_any_more(program: dict[str, Any], states: list[bytes], said: str) -> None:
    brokers = Brokers(program, *states)
    with pytest.raises(program["RefusedError"], match=said):
        brokers.own["spread"](FIRST)
    assert not [one for one in brokers.changes if one[0] == 44]
