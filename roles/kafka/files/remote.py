"""Asks a Kafka that runs elsewhere whether its topic is as the replicas need it.

Started from the host before anything changes, and in each replica when the stack is verified, it needs the standard
library alone. The argument is JSON: what to ask, and `files` with the paths of password and authorities. Without
`files`, standard input is JSON with their texts. It prints JSON: `problems` and `notes`, each a list of sentences.
"""

import base64
import hashlib
import hmac
import ipaddress
import json
import os
import socket
import ssl
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SECONDS = 5.0
METADATA, SASL_HANDSHAKE, DESCRIBE_CONFIGS, SASL_AUTHENTICATE = 3, 17, 32, 36
NO_TOPIC, NOT_ALLOWED = 3, 29
TOPIC = 2
# What a replica does with the topic: bits of the answer (KIP-430), by Kafka's words.
RIGHTS = {"Read": 3, "Write": 4, "Describe": 8}
UNKNOWN_RIGHTS = -(2**31)
MOST = 64 << 20  # bytes of an answer; what says more is no Kafka
UNREADABLE = ("lz4", "snappy", "zstd")  # the service has no code for them
MOST_ROUNDS = 1_000_000  # of SCRAM; clusters have 4096 to 16384, and more would keep the host busy
TRIED_AT_ONCE = 8
UNRESOLVED = (OSError, UnicodeError)  # the second where a name is none, such as one with two dots in a row


class WrongError(Exception):
    """What is wrong; a sentence that says what was expected."""


STRANGE = (WrongError, OSError, struct.error, ValueError, KeyError, TypeError, IndexError, OverflowError)


class Reader:
    """Reads an answer field by field."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, form):
        (value,) = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return value

    def take(self, length):
        self.at += length
        return self.data[self.at - length : self.at]

    def text(self):
        length = self.number("h")
        return None if length < 0 else self.take(length).decode()

    def numbers(self):
        return [self.number("i") for __ in range(self.number("i"))]


def text(value):
    return struct.pack(">h", len(value.encode())) + value.encode()


def parts(server):
    """Return host and port; an IPv6 address is in brackets."""
    host, __, port = server.rpartition(":")
    return host.strip("[]"), int(port)


def resolved(host):
    return {found[4][0] for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}


class Connection:
    """One connection to one broker, after TLS and the password."""

    def __init__(self, server, asked, secret):
        host, port = parts(server)
        try:
            resolved(host)
        except UNRESOLVED as error:
            raise WrongError(
                f"the name {host} does not resolve ({error}): expected one that the DNS here knows"
            ) from None
        try:
            self.socket = socket.create_connection((host, port), timeout=SECONDS)
        except OSError as error:
            raise WrongError(
                f"no connection to {server} ({error}): expected that it listens there, and that no firewall is in the "
                "way"
            ) from None
        self.server = server
        try:
            if asked["tls"]:
                self.socket = secured(self.socket, host, secret)
            if asked["user"]:
                self.sign_in(asked["mechanism"], asked["user"], secret["password"])
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, key, version, body):
        head = struct.pack(">hhi", key, version, 1) + text("sse-platform")
        self.socket.sendall(struct.pack(">i", len(head + body)) + head + body)
        length = struct.unpack(">i", self.exactly(4))[0]
        if not 4 <= length <= MOST:
            raise WrongError(
                f"{self.server} does not speak as Kafka does: expected Kafka there, and kafka_remote_tls as it has it"
            )
        answer = Reader(self.exactly(length))
        answer.number("i")
        return answer

    def exactly(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise WrongError(
                    f"{self.server} closes the connection: expected Kafka there, kafka_remote_tls as it has it, and a "
                    "user where it asks for one"
                )
            data += part
        return data

    def sign_in(self, mechanism, user, password):
        """Say who we are (RFC 4616, RFC 5802)."""
        answer = self.ask(SASL_HANDSHAKE, 1, text(mechanism))
        if answer.number("h"):
            known = ", ".join(answer.text() or "" for __ in range(answer.number("i")))
            raise WrongError(
                f"it does not take {mechanism} but {known}: expected one of these in kafka_remote_mechanism"
            )
        if mechanism == "PLAIN":
            self.step(f"\0{user}\0{password}".encode())
            return
        name = mechanism.replace("SCRAM-", "").replace("-", "").lower()
        nonce = base64.b64encode(os.urandom(18)).decode()
        first = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
        challenge = self.step(b"n,," + first.encode()).decode()
        said = dict(part.split("=", 1) for part in challenge.split(","))
        if not said.get("r", "").startswith(nonce):
            raise WrongError("it answers to another question than this one: expected Kafka there")
        rounds = int(said["i"])
        if not 1 <= rounds <= MOST_ROUNDS:
            raise WrongError(f"it asks for {rounds} rounds of {mechanism}: expected {MOST_ROUNDS} at most")
        final = f"c=biws,r={said['r']}"
        salted = hashlib.pbkdf2_hmac(name, password.encode(), base64.b64decode(said["s"]), rounds)
        key = hmac.digest(salted, b"Client Key", name)
        signed = hmac.digest(hashlib.new(name, key).digest(), f"{first},{challenge},{final}".encode(), name)
        proof = base64.b64encode(bytes(one ^ other for one, other in zip(key, signed, strict=True))).decode()
        self.step(f"{final},p={proof}".encode())

    def step(self, data):
        answer = self.ask(SASL_AUTHENTICATE, 1, struct.pack(">i", len(data)) + data)
        code, why = answer.number("h"), answer.text()
        if code:
            raise WrongError(
                f"it does not let the user of kafka_remote_user in ({why or code}): expected the present password in "
                "kafka_remote_password_file, and the mechanism that this user has in kafka_remote_mechanism"
            )
        return answer.take(answer.number("i"))


def authorities(text):
    """Return them for OpenSSL, which takes ASCII: comments between certificates may hold anything."""
    return "".join(filter(str.isascii, text)) + "\n" if text else None


def secured(opened, host, secret):
    by = "kafka_remote_ca_file" if secret.get("ca") else "an authority that is trusted here (or kafka_remote_ca_file)"
    try:
        context = ssl.create_default_context(cadata=authorities(secret.get("ca")))
    except (ssl.SSLError, ValueError):
        raise WrongError("kafka_remote_ca_file holds no certificate: expected those of authorities, as PEM") from None
    try:
        return context.wrap_socket(opened, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise WrongError(
            f"the certificate of {host} is not accepted ({error.verify_message}): expected one for this name, signed "
            f"by {by}"
        ) from None
    except OSError as error:
        raise WrongError(f"no TLS ({error}): expected that it speaks TLS there, or kafka_remote_tls false") from None


def described(connection, topic):
    """Return the addresses of all brokers by their ids, and what the cluster says of the topic."""
    answer = connection.ask(METADATA, 8, struct.pack(">i", 1) + text(topic) + struct.pack(">???", False, False, True))
    answer.number("i")
    brokers = {}
    for __ in range(answer.number("i")):
        number = answer.number("i")
        host, port = answer.text() or "", answer.number("i")
        brokers[number] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        answer.text()
    answer.text()
    answer.number("i")
    answer.number("i")
    code, __, __ = answer.number("h"), answer.text(), answer.number("?")
    partitions = []
    for __ in range(answer.number("i")):
        answer.number("h")
        answer.number("i")
        leader, __ = answer.number("i"), answer.number("i")
        partitions.append({"leader": leader, "replicas": answer.numbers(), "in sync": answer.numbers()})
        answer.numbers()
    return brokers, code, partitions, answer.number("i")


def configured(connection, topic):
    """Return the settings of the topic; None where the user may not see them."""
    body = struct.pack(">ib", 1, TOPIC) + text(topic) + struct.pack(">i?", -1, False)
    answer = connection.ask(DESCRIBE_CONFIGS, 1, body)
    answer.number("i")
    answer.number("i")
    code = answer.number("h")
    answer.text()
    answer.number("b")
    answer.text()
    if code:
        return None
    found = {}
    for __ in range(answer.number("i")):
        name, value = answer.text(), answer.text()
        answer.number("?")
        answer.number("b")
        answer.number("?")
        for __ in range(answer.number("i")):
            answer.text()
            answer.text()
            answer.number("b")
        found[name] = value or ""
    return found


def creation(asked):
    """Return the command that makes the topic as it is needed."""
    copies = asked["replication"]
    settings = {
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": asked["retention_ms"],
        "max.message.bytes": asked["message_bytes"],
        "compression.type": "uncompressed",
        "min.insync.replicas": min(2, copies),
    }
    words = " ".join(f"--config {name}={value}" for name, value in settings.items())
    return f"kafka-topics.sh --create --topic {asked['topic']} --partitions 1 --replication-factor {copies} {words}"


def of_topic(asked, code, partitions, rights):
    """Yield what is wrong with the topic, without its settings."""
    topic, user = asked["topic"], asked["user"] or "everybody"
    if code == NO_TOPIC:
        raise WrongError(
            f"there is no topic {topic}, or {user} may not see it: expected one as made by {creation(asked)}"
        )
    if code == NOT_ALLOWED:
        raise WrongError(f"{user} may not use the topic {topic}: expected the rights Describe, Read and Write")
    if code:
        raise WrongError(f"it says nothing of the topic {topic} (error {code}): expected a cluster that works")
    if len(partitions) != 1:
        yield f"topic {topic} has {len(partitions)} partitions: expected exactly one, which keeps the order of events"
    for one in partitions:
        copies = len(one["replicas"])
        if copies < asked["replication"]:
            yield (
                f"topic {topic} has {copies} {'copy' if copies == 1 else 'copies'}: expected "
                f"{asked['replication']}, or a lower kafka_remote_replication"
            )
        if one["leader"] < 0:
            yield f"topic {topic} has no leader now: expected a cluster that works"
    lacking = [name for name, bit in RIGHTS.items() if rights != UNKNOWN_RIGHTS and not rights >> bit & 1]
    if lacking:
        yield f"{user} lacks {', '.join(lacking)} on topic {topic}: expected Describe, Read and Write"


def of_settings(asked, found):
    """Yield what is wrong with the settings of the topic."""

    def wrong(name, expected, why):
        return f"topic {asked['topic']} has {name}={found.get(name)}: expected {expected}, {why}"

    def number(name, default):
        value = found.get(name, "")
        return int(value) if value.lstrip("-").isdigit() else default

    if found.get("cleanup.policy") != "delete":
        yield wrong("cleanup.policy", "delete", "because compaction takes events out of the middle of the log")
    if found.get("message.timestamp.type") != "LogAppendTime":
        yield wrong("message.timestamp.type", "LogAppendTime", "so that one clock says which keys are repeated")
    if found.get("compression.type") in UNREADABLE:
        yield wrong("compression.type", "uncompressed", "because the service cannot unpack the other")
    kept = number("retention.ms", -1)
    if 0 <= kept < asked["retention_ms"]:
        yield wrong("retention.ms", f"{asked['retention_ms']} or more", "or a lower app_retention_seconds")
    if number("max.message.bytes", asked["message_bytes"]) < asked["message_bytes"]:
        yield wrong("max.message.bytes", f"{asked['message_bytes']} or more", "which a batch of events may take")
    if found.get("unclean.leader.election.enable") == "true":
        yield wrong("unclean.leader.election.enable", "false", "because acknowledged events would be lost")
    least = number("min.insync.replicas", 1)
    if least < min(2, asked["replication"]):
        yield wrong("min.insync.replicas", "2", "or one broker alone could acknowledge an event, and be lost")


def good_to_know(asked, found, partitions):
    if found is None:
        yield (
            f"the user may not see the settings of topic {asked['topic']} (DescribeConfigs), so nobody has looked "
            "whether they fit"
        )
        return
    most = found.get("retention.bytes") or "-1"
    if not most.startswith("-"):
        yield (
            f"topic {asked['topic']} has retention.bytes={most}: beyond that the oldest events go, however young they "
            "are, and clients that resume from one of them are told of a gap"
        )
    if found.get("compression.type") == "producer":
        yield "what other programs write there compressed by lz4, snappy or zstd is no event for the replicas"
    for one in partitions:
        if one["replicas"] and int(found.get("min.insync.replicas") or 1) >= len(one["replicas"]) > 1:
            yield "min.insync.replicas is as large as the number of copies: with one broker away, publishing gets 503"
        if len(one["in sync"]) < len(one["replicas"]):
            yield f"{len(one['in sync'])} of {len(one['replicas'])} copies of the topic are in sync now"


def ask(asked, secret):
    problems, notes, reached = [], [], None
    for server in asked["servers"]:
        try:
            with Connection(server, asked, secret) as connection:
                reached = reached or looked(connection, asked, secret)
        except STRANGE as error:
            problems.append(said(server, error))
    if reached:
        problems, notes = problems + reached[0], reached[1]
    return {"problems": list(dict.fromkeys(problems)), "notes": list(dict.fromkeys(notes))}


def said(server, error):
    """Return the sentence that tells of an error while a server was asked."""
    if isinstance(error, WrongError):
        return str(error)
    return (
        f"{server} does not answer as Kafka does ({error or type(error).__name__}): expected Kafka there, and "
        "kafka_remote_tls as it has it"
    )


def looked(connection, asked, secret):
    """Look at the topic, and try each broker: those without the topic are asked where it is, too."""
    brokers, code, partitions, rights = described(connection, asked["topic"])
    problems = list(of_topic(asked, code, partitions, rights))
    found = configured(connection, asked["topic"])
    if found is not None:
        problems += of_settings(asked, found)

    def tried(number):
        server = brokers[number]
        if server in asked["servers"]:
            return ""
        told = f"broker {number} says that its address is {server}"
        try:
            if asked["segments"] and not let_out(asked["servers"], server):
                return (
                    f"{told}, and in segments the firewall of the stack lets replicas out to kafka_remote_servers "
                    f"alone (where one has a name, to its port): expected {server} in that list, too"
                )
            with Connection(server, asked, secret):
                return ""
        except STRANGE as error:
            return f"{told}: {said(server, error)}"

    with ThreadPoolExecutor(TRIED_AT_ONCE) as pool:
        problems += filter(None, pool.map(tried, sorted(brokers)))
    return problems, list(good_to_know(asked, found, partitions))


def let_out(servers, server):
    """Return whether the firewall has a way to this broker: a name opens its port, an address itself alone."""
    host, port = parts(server)
    ways = [way for way, at in map(parts, servers) if at == port]
    if not all(map(is_address, ways)):
        return True
    try:
        here = {ipaddress.ip_address(one) for one in resolved(host)}
    except UNRESOLVED:
        return bool(ways)  # trying it says what is wrong
    return not here.isdisjoint(map(ipaddress.ip_address, ways))


def is_address(host):
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False


def main():
    asked = json.loads(sys.argv[1])
    if "files" in asked:
        secret = {}
        for name, path in asked["files"].items():
            secret[name] = Path(path).read_text(errors="replace").strip()
    else:
        secret = json.load(sys.stdin)
    print(json.dumps(ask(asked, secret)))


main()
