"""The programs that ask a Kafka and a Redis elsewhere: each fault is told with what was expected, and no password is.

The servers here are made up, and speak as much of the protocols as the programs use. tests/integration has real ones.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.sse.platform.plugins.module_utils.host import elsewhere
from rendered import ROOT

KAFKA, REDIS = ((ROOT / f"roles/{role}/files/remote.py").read_text() for role in ("kafka", "redis"))
PASSWORD, WRONG = "canary-4711", "not-this-one-4711"


class Server(socketserver.ThreadingTCPServer):
    """A server on a free port, with TLS where a certificate is given."""

    host = "127.0.0.1"

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, serve: Callable[[Any], None], certificate: Path | None = None) -> None:
        self.serve = serve
        self.context: ssl.SSLContext | None = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
        super().__init__((self.host, 0), Handler)

    @property
    def at(self) -> str:
        return f"localhost:{self.server_address[1]}"


class ServerOfIPv6(Server):
    """The same, at ::1."""

    host, address_family = "::1", socket.AF_INET6

    @property
    def at(self) -> str:
        return f"[::1]:{self.server_address[1]}"


class Handler(socketserver.BaseRequestHandler):
    """Hands a connection over, and ends it quietly."""

    def handle(self) -> None:
        server: Any = self.server
        try:
            opened = server.context.wrap_socket(self.request, server_side=True) if server.context else self.request
            server.serve(opened)
        except (OSError, struct.error, IndexError):
            pass


@contextmanager
def running(
    serve: Callable[[Any], None], certificate: Path | None = None, kind: type[Server] = Server
) -> Iterator[Server]:
    with kind(serve, certificate) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for `localhost`, which is its own authority."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    key = path.with_name("key.pem")
    asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    more = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(path)]
    subprocess.run(["openssl", *asked.split(), *more], check=True, capture_output=True)
    path.write_text(path.read_text() + key.read_text())
    return path


def authority(certificate: Path) -> str:
    return certificate.read_text().partition("-----BEGIN PRIVATE")[0]


def ask(program: str, asks: dict[str, Any], servers: list[str], **secrets: str) -> elsewhere.Answer:
    one: Any = {"servers": servers, "asks": asks, "program": program, "secrets": {name: name for name in secrets}}
    answer = elsewhere.ask(one, secrets)
    assert PASSWORD not in str(answer)
    assert WRONG not in str(answer)
    return answer


# --- Redis


class Redis:
    """Answers as Redis does."""

    def __init__(self, **info: str) -> None:
        self.info = {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "cluster_enabled": "0", **info}
        self.refuses: dict[str, str] = {}
        self.user = ""
        self.asked: list[list[str]] = []

    def __call__(self, opened: Any) -> None:
        lines, signed_in = opened.makefile("rb"), False
        while count := lines.readline():
            words = [lines.read(int(lines.readline()[1:]) + 2)[:-2].decode() for __ in range(int(count[1:]))]
            self.asked.append(words)
            if words[0] == "AUTH":
                signed_in = words[1:] == [*([self.user] if self.user else []), PASSWORD]
                answer = b"+OK" if signed_in else b"-WRONGPASS invalid username-password pair or user is disabled."
            elif not signed_in:
                answer = b"-NOAUTH Authentication required."
            elif words[0] in self.refuses:
                answer = f"-{self.refuses[words[0]]}".encode()
            elif words[0] == "INFO":
                text = "".join(f"{name}:{value}\r\n" for name, value in self.info.items()).encode()
                answer = b"$%d\r\n%b" % (len(text), text)
            else:
                answer = b":1"
            opened.sendall(answer + b"\r\n")


REDIS_ASKS = {"tls": False, "user": "", "prefix": "sse-events:"}


def ask_redis(redis: Redis, password: str = PASSWORD, **asks: Any) -> elsewhere.Answer:
    with running(redis) as server:
        return ask(REDIS, {**REDIS_ASKS, "server": server.at, **asks}, [server.at], password=password)


def test_a_redis_that_fits_is_asked_each_command_that_the_service_may_use_on_keys_of_its_own() -> None:
    redis = Redis()
    assert ask_redis(redis) == ([], [])
    asked = {f"{words[0]}|{words[1]}" if words[0] == "SCRIPT" else words[0] for words in redis.asked}
    wiring = yaml.safe_load((ROOT / "roles/services/vars/main.yml").read_text())["__services_commands_of_app"]
    rules = {one.removeprefix("+").upper() for one in wiring.split() if not one.startswith("+client|")}
    assert asked - {"AUTH", "INFO"} == rules
    for made, command in enumerate(redis.asked):
        if command[0] in {"HSET", "RPUSH", "ZADD"}:
            assert redis.asked[made + 1] == ["EXPIRE", command[1], "60"]
    keys = {words[1] for words in redis.asked if words[0] in {"SET", "HSET", "RPUSH", "ZADD"}}
    assert len(keys) == 4
    assert all(key.startswith("sse-events:sse-platform-") for key in keys)


def test_the_user_that_the_docs_make_may_do_all_of_it_on_every_version_that_is_taken() -> None:
    redis = Redis()
    ask_redis(redis)
    page = (ROOT / "docs/external-kafka-redis.md").read_text()
    command = page.partition("    ACL SETUSER ")[2].partition("\n\n")[0]
    rights = {word[1:] for word in command.split() if word.startswith("+")}
    asked = {"|".join(words[:2]) if words[0] == "SCRIPT" else words[0] for words in redis.asked}
    assert rights == {one.lower() for one in asked - {"AUTH"}} | {"client|setname"}  # client|setinfo came with 7.2


def test_rights_that_are_missing_are_told_before_all_else() -> None:
    redis = Redis()
    no_right, no_memory = ("EXPIRE", "DEL"), ("SET", "HSET", "RPUSH", "ZADD")
    redis.refuses = dict.fromkeys(no_right, "NOPERM no") | dict.fromkeys(no_memory, "OOM command not allowed")
    problems = ask_redis(redis).problems
    assert len(problems) == 3
    assert problems[0].startswith("user default may not use DEL, EXPIRE: expected that he may, on keys that begin")


@pytest.mark.parametrize(
    ("info", "refuses", "said"),
    [
        ({"redis_version": "5.0.14"}, {}, "it is version 5.0.14: expected 6.0 or later"),
        ({"cluster_enabled": "1"}, {}, "expected one that is not in cluster mode"),
        ({}, {"HSET": "NOPERM no"}, "user default may not use HSET: expected that he may, on keys that begin with sse"),
        (
            {},
            {"SET": "READONLY You can't write"},
            "it is a replica that takes no writes: expected the address of the p",
        ),
        ({}, {"SET": "OOM command not allowed"}, "SET is refused (OOM command not allowed)"),
    ],
)
def test_a_redis_that_does_not_fit_is_told(info: dict[str, str], refuses: dict[str, str], said: str) -> None:
    redis = Redis(**info)
    redis.refuses = refuses
    answer = ask_redis(redis)
    assert len(answer.problems) == 1
    assert said in answer.problems[0]


def test_a_redis_that_evicts_is_used_and_told() -> None:
    problems, notes = ask_redis(Redis(maxmemory_policy="volatile-lru"))
    assert problems == []
    assert notes[0].startswith("its maxmemory-policy is volatile-lru: ")
    hidden = Redis()
    hidden.refuses = {"INFO": "NOPERM no"}
    assert ask_redis(hidden).notes == [
        "it does not let INFO through, so its version and its maxmemory-policy are not known"
    ]


def test_a_wrong_password_and_a_missing_one_are_told_without_any() -> None:
    wrong, absent = ask_redis(Redis(), WRONG), ask_redis(Redis(), "")
    assert "does not let its default user in (WRONGPASS" in wrong.problems[0]
    assert "redis_remote_password_file" in wrong.problems[0]
    assert "asks for a password (NOAUTH): expected redis_remote_password_file" in absent.problems[0]
    named = Redis()
    named.user = "sse"
    assert ask_redis(named, user="sse") == ([], [])


def test_redis_by_tls(certificate: Path) -> None:
    asks = {**REDIS_ASKS, "tls": True}
    with running(Redis(), certificate) as server:
        own = authority(certificate)
        for given in (own, f"# Zertifizierungsstelle für \u65e5\u672c\n{own}"):
            assert ask(REDIS, {**asks, "server": server.at}, [server.at], password=PASSWORD, ca=given) == ([], [])
        unknown = ask(REDIS, {**asks, "server": server.at}, [server.at], password=PASSWORD)
        assert "its certificate is not accepted (self-signed certificate): expected one for localhost" in str(unknown)
        by_address = server.at.replace("localhost", "127.0.0.1")
        other = ask(REDIS, {**asks, "server": by_address}, [by_address], password=PASSWORD, ca=own)
        assert "expected one for 127.0.0.1, signed by redis_remote_ca_file" in str(other)
        for empty in ("-----BEGIN nothing", "\u65e5\u672c"):
            no_pem = ask(REDIS, {**asks, "server": server.at}, [server.at], password=PASSWORD, ca=empty)
            assert "redis_remote_ca_file holds no certificate: expected" in str(no_pem)
        plain = ask(REDIS, {**asks, "tls": False, "server": server.at}, [server.at], password=PASSWORD)
        assert "redis_remote_tls" in str(plain)
    with running(Redis()) as server:
        told = ask(REDIS, {**asks, "server": server.at}, [server.at], password=PASSWORD)
        assert "expected that it speaks TLS there, or redis_remote_tls false" in str(told)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"$abc\r\n", "it does not answer as Redis does (invalid literal for int() with base 10: 'abc'): expected"),
        (b"*1\r\n:1\r\n" * 3, "it does not answer as Redis does (sequence item 0: expected str instance, list found)"),
        (b"-\r\n" * 2, "it does not answer as Redis does (list index out of range): expected"),
        (b"$-9\r\n" * 3, "it is version unknown: expected 6.0 or later"),
        (b"$2000000000\r\n" + b"a" * (2 << 20), "it answers more than 1048576 bytes: expected Redis there"),
        (b"+" + b"a" * (2 << 20), "it answers more than 1048576 bytes: expected Redis there"),
        (b"*2000000000\r\n" + b":1\r\n" * (1 << 19), "it answers more than 1048576 bytes: expected Redis there"),
        (b"*1\r\n" * 2000, "it answers more than 4 arrays within each other: expected Redis there"),
    ],
)
def test_a_strange_answer_is_told_and_no_more_than_a_little_is_read(answer: bytes, said: str) -> None:
    def strange(opened: Any) -> None:
        opened.recv(100)
        opened.sendall(answer)
        opened.recv(100)

    with running(strange) as server:
        [problem] = ask(REDIS, {**REDIS_ASKS, "server": server.at}, [server.at]).problems
    assert said in problem


def test_servers_at_ipv6_addresses_are_asked() -> None:
    kafka = Kafka(min_insync_replicas="1")
    kafka.partitions = [(1, [1], [1])]
    with running(Redis(), kind=ServerOfIPv6) as redis, running(kafka, kind=ServerOfIPv6) as broker:
        kafka.brokers = {1: broker.at.replace("[", "").replace("]", "")}
        assert ask(REDIS, {**REDIS_ASKS, "server": redis.at}, [redis.at], password=PASSWORD) == ([], [])
        asks = {**KAFKA_ASKS, "replication": 1}
        assert ask(KAFKA, asks, [broker.at], password=PASSWORD) == ([], [])


@pytest.mark.parametrize("program", [REDIS, KAFKA])
def test_a_name_that_does_not_resolve_and_a_port_where_nobody_listens_are_told(program: str) -> None:
    with running(Redis()) as server:
        nobody = server.at
    unknown = ("no-such-host.invalid:1", "two..dots:1", f"{'a' * 64}.example:1")
    for at, said in (*((name, "does not resolve") for name in unknown), (nobody, "no connection to ")):
        answer = ask(program, {**REDIS_ASKS, **KAFKA_ASKS, "server": at}, [at], password=PASSWORD)
        assert said in answer.problems[0]
        assert "expected" in answer.problems[0]


# --- Kafka

KAFKA_ASKS = {
    "tls": False,
    "mechanism": "SCRAM-SHA-256",
    "user": "sse",
    "topic": "sse-events",
    "replication": 3,
    "retention_ms": 86_400_000,
    "message_bytes": 523_168,
    "segments": True,
}
FITTING = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "LogAppendTime",
    "compression.type": "uncompressed",
    "retention.ms": "-1",
    "max.message.bytes": "1048588",
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
}
ALL_RIGHTS = 1 << 3 | 1 << 4 | 1 << 8


def text(value: str | None) -> bytes:
    return b"\xff\xff" if value is None else struct.pack(">h", len(value)) + value.encode()


def numbers(values: list[int]) -> bytes:
    return struct.pack(f">i{len(values)}i", len(values), *values)


class Kafka:
    """Answers as one of several brokers does."""

    def __init__(self, **settings: str) -> None:
        self.settings = {**FITTING, **{name.replace("_", "."): value for name, value in settings.items()}}
        self.mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
        self.partitions = [(1, [1, 2, 3], [1, 2, 3])]
        self.error, self.rights, self.hidden = 0, ALL_RIGHTS, False
        self.rounds = 4096
        self.brokers: dict[int, str] = {}
        self.user = "sse"

    def __call__(self, opened: Any) -> None:
        copy(self).serve(opened)  # what a client has said is of its connection

    def serve(self, opened: Any) -> None:
        self.salt, self.first, self.mechanism = os.urandom(16), "", ""
        while head := opened.recv(4):
            data = b""
            while len(data) < struct.unpack(">i", head)[0]:
                data += opened.recv(65536)
            key, version = struct.unpack_from(">hh", data)
            body = data[8 + 2 + struct.unpack_from(">h", data, 8)[0] :]
            answer = {3: self.metadata, 17: self.handshake, 36: self.authenticate, 32: self.configs}[key](body, opened)
            assert version == {3: 8, 17: 1, 36: 1, 32: 1}[key]
            opened.sendall(struct.pack(">ii", len(answer) + 4, 1) + answer)

    def handshake(self, body: bytes, _: Any) -> bytes:
        self.mechanism = body[2:].decode()
        known = b"".join(map(text, self.mechanisms))
        return struct.pack(">hi", 0 if self.mechanism in self.mechanisms else 33, len(self.mechanisms)) + known

    def authenticate(self, body: bytes, _: Any) -> bytes:
        said, good, answer = body[4:].decode(), True, b""
        if self.mechanism == "PLAIN":
            good = said == f"\0{self.user}\0{PASSWORD}"
        elif not self.first:
            self.first = said.removeprefix("n,,")
            nonce = dict(part.split("=", 1) for part in self.first.split(","))["r"]
            answer = f"r={nonce}more,s={base64.b64encode(self.salt).decode()},i={self.rounds}".encode()
            self.challenge = answer.decode()
        else:
            name = self.mechanism.removeprefix("SCRAM-").replace("-", "").lower()
            final, __, proof = said.rpartition(",p=")
            salted = hashlib.pbkdf2_hmac(name, PASSWORD.encode(), self.salt, self.rounds)
            key = hmac.digest(salted, b"Client Key", name)
            signed = hmac.digest(
                hashlib.new(name, key).digest(), f"{self.first},{self.challenge},{final}".encode(), name
            )
            good = base64.b64decode(proof) == bytes(a ^ b for a, b in zip(key, signed, strict=True))
        if not good:
            return struct.pack(">h", 58) + text("Authentication failed") + struct.pack(">iq", 0, 0)
        return struct.pack(">h", 0) + text(None) + struct.pack(">i", len(answer)) + answer + struct.pack(">q", 0)

    def metadata(self, _: bytes, opened: Any) -> bytes:
        here = {1: f"localhost:{opened.getsockname()[1]}"} | self.brokers
        found = struct.pack(">ii", 0, len(here))
        for number, server in here.items():
            host, __, port = server.rpartition(":")  # a broker tells an IPv6 address without brackets
            found += struct.pack(">i", number) + text(host) + struct.pack(">i", int(port)) + text(None)
        found += text("cluster") + struct.pack(">iih", 1, 1, self.error) + text("sse-events") + b"\0"
        found += struct.pack(">i", len(self.partitions))
        for number, (leader, replicas, in_sync) in enumerate(self.partitions):
            found += struct.pack(">hiii", 0, number, leader, 7) + numbers(replicas) + numbers(in_sync) + numbers([])
        return found + struct.pack(">ii", self.rights, 0)

    def configs(self, _: bytes, __: Any) -> bytes:
        found = struct.pack(">iih", 0, 1, 29 if self.hidden else 0) + text(None) + b"\x02" + text("sse-events")
        settings = {} if self.hidden else self.settings
        found += struct.pack(">i", len(settings))
        for name, value in settings.items():
            found += text(name) + text(value) + b"\0\x05\0" + struct.pack(">i", 1) + text(name) + text(value) + b"\x05"
        return found


def ask_kafka(kafka: Kafka, password: str = PASSWORD, **asks: Any) -> elsewhere.Answer:
    with running(kafka) as server, running(kafka) as second, running(kafka) as third:
        kafka.brokers = {2: second.at, 3: third.at} | kafka.brokers
        servers = [server.at, second.at, third.at]
        return ask(KAFKA, {**KAFKA_ASKS, **asks}, servers, password=password)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_kafka_that_fits_is_accepted_by_each_mechanism(mechanism: str) -> None:
    assert ask_kafka(Kafka(), mechanism=mechanism) == ([], [])
    wrong = ask_kafka(Kafka(), WRONG, mechanism=mechanism)
    assert "does not let the user of kafka_remote_user in (Authentication failed)" in wrong.problems[0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cleanup_policy": "compact"}, "has cleanup.policy=compact: expected delete, because compaction takes"),
        ({"cleanup_policy": "compact,delete"}, "has cleanup.policy=compact,delete: expected delete"),
        ({"message_timestamp_type": "CreateTime"}, "has message.timestamp.type=CreateTime: expected LogAppendTime"),
        ({"compression_type": "zstd"}, "has compression.type=zstd: expected uncompressed"),
        ({"retention_ms": "3600000"}, "has retention.ms=3600000: expected 86400000 or more"),
        ({"max_message_bytes": "100000"}, "has max.message.bytes=100000: expected 523168 or more"),
        ({"min_insync_replicas": "1"}, "has min.insync.replicas=1: expected 2"),
        ({"unclean_leader_election_enable": "true"}, "has unclean.leader.election.enable=true: expected false"),
    ],
)
def test_a_topic_that_would_lose_events_is_refused_with_what_was_expected(settings: dict[str, str], said: str) -> None:
    answer = ask_kafka(Kafka(**settings))
    assert len(answer.problems) == 1
    assert said in answer.problems[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"error": 3}, "there is no topic sse-events, or sse may not see it: expected one as made by kafka-topics.sh"),
        ({"error": 29}, "sse may not use the topic sse-events: expected the rights Describe, Read and Write"),
        ({"partitions": [(1, [1, 2, 3], [1, 2, 3])] * 2}, "has 2 partitions: expected exactly one"),
        ({"partitions": [(1, [1], [1])]}, "has 1 copy: expected 3, or a lower kafka_remote_replication"),
        ({"partitions": [(-1, [1, 2, 3], [1, 2])]}, "has no leader now"),
        ({"rights": 1 << 3 | 1 << 8}, "sse lacks Write on topic sse-events"),
        (
            {"mechanisms": ["GSSAPI"]},
            "does not take SCRAM-SHA-256 but GSSAPI: expected one of these in kafka_remote_me",
        ),
        ({"rounds": 2_000_000_000}, "asks for 2000000000 rounds of SCRAM-SHA-256: expected 1000000 at most"),
        ({"brokers": {2: "no-such-host.invalid:9"}}, "broker 2 says that its address is no-such-host.invalid:9"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_refused(change: dict[str, Any], said: str) -> None:
    kafka = Kafka()
    for name, value in change.items():
        setattr(kafka, name, value)
    answer = ask_kafka(kafka)
    assert answer.problems
    assert said in answer.problems[0]


@pytest.mark.parametrize(
    ("listed", "broker", "segments", "said"),
    [
        ("127.0.0.1", "127.0.0.1", True, ""),
        ("127.0.0.1", "localhost", True, ""),
        ("localhost", "127.0.0.1", True, ""),
        ("127.0.0.1", "127.0.0.2", True, "expected 127.0.0.2:{port} in that list, too"),
        ("127.0.0.1", "::1", True, "expected [::1]:{port} in that list, too"),
        ("127.0.0.1", "no-such-host.invalid", True, "the name no-such-host.invalid does not resolve"),
        ("127.0.0.1", "two..dots", True, "the name two..dots does not resolve"),
        # A name opens its port to every address, and one network for all closes nothing: they are tried.
        ("localhost", "127.0.0.2", True, "no connection to 127.0.0.2:{port}"),
        ("127.0.0.1", "127.0.0.2", False, "no connection to 127.0.0.2:{port}"),
    ],
)
def test_each_broker_is_one_that_the_firewall_lets_replicas_out_to(
    listed: str, broker: str, segments: bool, said: str
) -> None:
    kafka = Kafka(min_insync_replicas="1")
    kafka.partitions = [(1, [1], [1])]  # the other broker does not have the topic
    with running(kafka) as server:
        port = server.server_address[1]
        kafka.brokers = {2: f"{broker}:{port}"}
        answer = ask(
            KAFKA, {**KAFKA_ASKS, "replication": 1, "segments": segments}, [f"{listed}:{port}"], password=PASSWORD
        )
    assert len(answer.problems) == bool(said)
    assert not said or said.format(port=port) in answer.problems[0]


def test_a_broker_at_another_port_is_told_unless_nothing_is_closed() -> None:
    kafka = Kafka(min_insync_replicas="1")
    kafka.partitions = [(1, [1], [1])]
    with running(kafka) as server, running(kafka) as other:
        kafka.brokers = {1: server.at, 2: other.at}
        asks = {**KAFKA_ASKS, "replication": 1}
        told = ask(KAFKA, asks, [server.at], password=PASSWORD)
        assert f"expected {other.at} in that list, too" in told.problems[0]
        assert ask(KAFKA, {**asks, "segments": False}, [server.at], password=PASSWORD) == ([], [])


def test_one_broker_is_enough_where_its_owner_says_so() -> None:
    kafka = Kafka(min_insync_replicas="1")
    kafka.partitions = [(1, [1], [1])]
    assert ask_kafka(kafka, replication=1) == ([], [])
    assert ask_kafka(kafka, replication=2).problems != []


def test_what_is_good_to_know_of_a_topic_keeps_nobody_from_using_it() -> None:
    kafka = Kafka(compression_type="producer", min_insync_replicas="3", retention_bytes="1048576")
    kafka.partitions = [(1, [1, 2, 3], [1, 2])]
    problems, notes = ask_kafka(kafka)
    assert problems == []
    assert [note.partition(" ")[0] for note in notes] == ["topic", "what", "min.insync.replicas", "2"]
    assert notes[0].startswith("topic sse-events has retention.bytes=1048576: beyond that the oldest events go")
    assert ask_kafka(Kafka(retention_bytes="-1")) == ([], [])
    kafka.hidden = True
    assert "nobody has looked whether they fit" in ask_kafka(kafka).notes[0]


def test_kafka_by_tls(certificate: Path) -> None:
    kafka = Kafka(min_insync_replicas="1")
    kafka.partitions = [(1, [1], [1])]
    asks = {**KAFKA_ASKS, "tls": True, "replication": 1}
    with running(kafka, certificate) as server:
        own = authority(certificate)
        for given in (own, f"# Zertifizierungsstelle für \u65e5\u672c\n{own}"):
            assert ask(KAFKA, asks, [server.at], password=PASSWORD, ca=given) == ([], [])
        assert "certificate of localhost is not accepted" in str(ask(KAFKA, asks, [server.at], password=PASSWORD))
        plain = ask(KAFKA, {**asks, "tls": False}, [server.at], password=PASSWORD)
        assert "kafka_remote_tls" in str(plain)
    with running(kafka) as server:
        told = ask(KAFKA, asks, [server.at], password=PASSWORD, ca=own)
        assert "expected that it speaks TLS there, or kafka_remote_tls false" in str(told)


def test_what_is_no_kafka_is_told() -> None:
    def web(opened: Any) -> None:
        opened.recv(100)
        opened.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with running(web) as server:
        assert "does not speak as Kafka does" in str(ask(KAFKA, KAFKA_ASKS, [server.at], password=PASSWORD))
        redis = {**REDIS_ASKS, "server": server.at}
        assert "it answers 'HTTP/1.1 400 Bad Request'" in str(ask(REDIS, redis, [server.at], password=PASSWORD))


def test_secrets_come_from_files_within_a_container(tmp_path: Path, certificate: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    ca = tmp_path / "ca"
    ca.write_bytes(authority(certificate).encode() + "# für\n".encode("latin-1"))
    redis = Redis()
    with running(redis, certificate) as server:
        one: Any = {"servers": [server.at], "asks": {**REDIS_ASKS, "tls": True, "server": server.at}}
        files = {"password": str(file), "ca": str(ca)}
        command = [sys.executable, "-I", "-c", REDIS, elsewhere.argument(one, files)]
        ended = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    assert json.loads(ended.stdout) == {"problems": [], "notes": []}


@pytest.mark.parametrize(
    ("code", "output", "said"),
    [
        (0, 'noise\n{"problems": ["a"], "notes": []}', ["a"]),
        (1, "Traceback\nKeyError: 'x'", ["it could not be asked: KeyError: 'x'"]),
        (0, "", ["it could not be asked: exit code 0"]),
        (0, '{"other": 1}', ['it could not be asked: {"other": 1}']),
    ],
)
def test_a_program_that_fails_is_a_problem(code: int, output: str, said: list[str]) -> None:
    assert elsewhere.read(code, output).problems == said
