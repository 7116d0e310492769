"""Gives the users of Kafka their passwords and rights, and verifies both. The platform runs it when the broker works.

It runs in the network namespace of the broker's container, and needs the standard library alone. It speaks
to the controller's listener, which is on the loopback address of that namespace, so nobody else can reach it. Standard
input is JSON: `now` and `before` hold the files that the container has and had, by path; `before` may be empty. With
`look` it changes nothing, and prints what differs in the broker, one line for each thing. With `copies` it prints the
names of the brokers that have everything, and with `behind` what this one lacks of what all have. With `gather`, the
first of several gets the only copy of everything: the others are about to leave.
"""

import base64
import hashlib
import hmac
import json
import os
import socket
import struct
import sys
import time

CONTROLLER, CLIENTS = 9093, 9092
USERS, RIGHTS = "/run/users/", "/etc/accounts/users.json"
PLACE = "/etc/accounts/place.json"  # where there are several brokers: which of them this is, and where it is asked
PROPERTIES, VOTERS = "/etc/kafka/server.properties", "controller.quorum.voters="
ITERATIONS = 4096  # the passwords are random and long, so more would only cost the clients time
SECONDS = 20.0  # until the broker knows what its controller has written
SYNC_SECONDS = 120.0  # until one of several brokers has what the others have
SHA_512 = 2
TOPIC, GROUP, TRANSACTION = 2, 3, 5
BROKER_KIND = 4  # of a configuration; with an empty name, that of all brokers
ANY, LITERAL, PREFIXED, ALLOW = 1, 3, 4, 3
READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS = 3, 4, 5, 6, 7, 8, 10, 11
# What each right of a user means in Kafka's words.
MEANS = {
    "read": (TOPIC, (READ, DESCRIBE)),
    "write": (TOPIC, (WRITE, DESCRIBE)),
    "manage": (TOPIC, (CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS)),
    "create": (TOPIC, (CREATE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS)),
    "groups": (GROUP, (READ, DESCRIBE)),
    "transactions": (TRANSACTION, (WRITE, DESCRIBE)),
}


class RefusedError(Exception):
    """What the broker refuses."""


class Reader:
    """Reads the answers of the broker field by field."""

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

    def varint(self):
        value = shift = 0
        while True:
            byte = self.number("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def compact_text(self):
        length = self.varint()
        return None if length == 0 else self.take(length - 1).decode()


def text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value.encode())) + value.encode()


def varint(value):
    parts = b""
    while value >= 0x80:
        parts += bytes([value & 0x7F | 0x80])
        value >>= 7
    return parts + bytes([value])


def compact(value):
    return varint(len(value) + 1) + value


class Connection:
    """One connection to one listener of the broker."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, key, version, body, flexible=False):
        head = struct.pack(">hhi", key, version, 1) + text("accounts") + (b"\0" if flexible else b"")
        self.socket.sendall(struct.pack(">i", len(head + body)) + head + body)
        answer = Reader(self.exactly(struct.unpack(">i", self.exactly(4))[0]))
        answer.number("i")
        if flexible:
            answer.varint()
        return answer

    def exactly(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise OSError("the broker closed the connection")
            data += part
        return data


def signs_in(user, password):
    """Tell whether a user gets in by a password, as a client does (RFC 5802); OSError where the broker is away."""

    def step(data):
        answer = connection.ask(36, 1, struct.pack(">i", len(data)) + data)
        code, why = answer.number("h"), answer.text()
        if code:
            raise RefusedError(why or str(code))
        return answer.take(answer.number("i"))

    nonce = base64.b64encode(os.urandom(18)).decode()
    with Connection(CLIENTS) as connection:
        if connection.ask(17, 1, text("SCRAM-SHA-512")).number("h"):
            return False
        try:
            first = f"n={user},r={nonce}"
            challenge = step(b"n,," + first.encode()).decode()
            asked = dict(part.split("=", 1) for part in challenge.split(","))
            final = f"c=biws,r={asked['r']}"
            salted = salt(password, base64.b64decode(asked["s"]), int(asked["i"]))
            key = hmac.digest(salted, b"Client Key", "sha512")
            signed = hmac.digest(hashlib.sha512(key).digest(), f"{first},{challenge},{final}".encode(), "sha512")
            proof = base64.b64encode(bytes(one ^ other for one, other in zip(key, signed, strict=True)))
            step(f"{final},p=".encode() + proof)
        except RefusedError:
            return False
    return True


def salt(password, with_salt, iterations):
    return hashlib.pbkdf2_hmac("sha512", password.encode(), with_salt, iterations)


def write_passwords(connection, passwords, gone):
    """Replace the credentials of these users, and remove those of the users that are gone."""
    body = varint(len(gone) + 1)
    for user in gone:
        body += compact(user.encode()) + struct.pack(">b", SHA_512) + b"\0"
    body += varint(len(passwords) + 1)
    for user, password in passwords.items():
        own = os.urandom(24)
        body += compact(user.encode()) + struct.pack(">bi", SHA_512, ITERATIONS)
        body += compact(own) + compact(salt(password, own, ITERATIONS)) + b"\0"
    answer = connection.ask(51, 0, body + b"\0", flexible=True)
    answer.number("i")
    for __ in range(answer.varint() - 1):
        user, code, why = answer.compact_text(), answer.number("h"), answer.compact_text()
        answer.varint()
        if code and user not in gone:
            raise RefusedError(f"the credential of user {user}: {why or code}")


def wanted(users):
    """Return the rights of all users as Kafka keeps them."""
    found = set()
    for user, rights in users.items():
        for right, names in rights.items():
            kind, operations = MEANS[right]
            for name in names:
                prefix = name.endswith(".*")
                found |= {
                    (
                        kind,
                        name[:-1] if prefix else name,
                        PREFIXED if prefix else LITERAL,
                        f"User:{user}",
                        "*",
                        one,
                        ALLOW,
                    )
                    for one in operations
                }
    return found


def acl(one):
    kind, name, pattern, principal, host, operation, permission = one
    return (
        struct.pack(">b", kind)
        + text(name)
        + struct.pack(">b", pattern)
        + text(principal)
        + text(host)
        + struct.pack(">bb", operation, permission)
    )


def there(connection):
    """Return every right that the broker has."""
    answer = connection.ask(29, 1, acl((ANY, None, ANY, None, None, ANY, ANY)))
    answer.number("i")
    code, why = answer.number("h"), answer.text()
    if code:
        raise RefusedError(f"the list of rights: {why or code}")
    found = set()
    for __ in range(answer.number("i")):
        kind, name, pattern = answer.number("b"), answer.text(), answer.number("b")
        for __ in range(answer.number("i")):
            principal, host = answer.text(), answer.text()
            found.add((kind, name, pattern, principal, host, answer.number("b"), answer.number("b")))
    return found


def change(connection, key, rights):
    if not rights:
        return
    answer = connection.ask(key, 1, struct.pack(">i", len(rights)) + b"".join(acl(one) for one in sorted(rights)))
    answer.number("i")
    for __ in range(answer.number("i")):
        code, why = answer.number("h"), answer.text()
        if code:
            raise RefusedError(f"a right: {why or code}")
        for __ in range(answer.number("i") if key == 31 else 0):
            answer.number("h")
            answer.text()
            answer.number("b")
            answer.text()
            answer.number("b")
            answer.text()
            answer.text()
            answer.number("h")


class Partitions:
    """All partitions, each with the brokers that keep it and those that are in sync (Metadata, version 1)."""

    def __init__(self, connection):
        answer = connection.ask(3, 1, struct.pack(">i", -1))
        self.brokers = set()
        for __ in range(answer.number("i")):
            self.brokers.add(answer.number("i"))
            answer.text()
            answer.number("i")
            answer.text()
        answer.number("i")
        self.found, self.leaderless = {}, set()
        for __ in range(answer.number("i")):
            answer.number("h")
            topic = answer.text()
            answer.number("B")
            for __ in range(answer.number("i")):
                answer.number("h")
                partition, leader = answer.number("i"), answer.number("i")
                replicas, in_sync = ([answer.number("i") for __ in range(answer.number("i"))] for __ in range(2))
                self.found[topic, partition] = (replicas, in_sync)
                if leader < 0:
                    self.leaderless.add((topic, partition))


def not_in_sync(connection, place, others=True):
    """Say what this broker of several lacks of what all have; empty where it lacks nothing.

    With `others`, all the others have to work, too.
    """
    partitions, number = Partitions(connection), place["number"]
    if others and len(partitions.brokers) != place["brokers"]:
        return f"{len(partitions.brokers)} of {place['brokers']} brokers work"
    for (topic, partition), (replicas, in_sync) in partitions.found.items():
        if (topic, partition) in partitions.leaderless or (number in replicas and number not in in_sync):
            return f"partition {partition} of {topic} is not in sync here"
    return ""


def reassign(connection, wanted):
    """Have other brokers keep partitions (AlterPartitionReassignments, version 0)."""
    body = struct.pack(">i", 30000) + varint(len(wanted) + 1)
    for (topic, partition), replicas in wanted.items():
        body += compact(topic.encode()) + varint(2) + struct.pack(">i", partition) + varint(len(replicas) + 1)
        body += struct.pack(f">{len(replicas)}i", *replicas) + b"\0\0"
    answer = connection.ask(45, 0, body + b"\0", flexible=True)
    answer.number("i")
    code, why = answer.number("h"), answer.compact_text()
    if code:
        raise RefusedError(f"to move copies: {why or code}")
    for __ in range(answer.varint() - 1):
        topic = answer.compact_text()
        for __ in range(answer.varint() - 1):
            partition, code, why = answer.number("i"), answer.number("h"), answer.compact_text()
            answer.varint()
            if code:
                raise RefusedError(f"to move copies of partition {partition} of {topic}: {why or code}")
        answer.varint()


def expect_in_sync(connection, number):
    """Say how many copies must have an event before it counts as stored (IncrementalAlterConfigs, version 1).

    What the file of a broker says of it is not heeded any more (KIP-966).
    """
    body = varint(2) + struct.pack(">b", BROKER_KIND) + compact(b"") + varint(2) + compact(b"min.insync.replicas")
    body += b"\0" + compact(str(number).encode()) + b"\0\0" + b"\0" + b"\0"
    answer = connection.ask(44, 1, body, flexible=True)
    answer.number("i")
    for __ in range(answer.varint() - 1):
        code, why = answer.number("h"), answer.compact_text()
        if code:
            raise RefusedError(f"min.insync.replicas={number}: {why or code}")
        answer.number("b")
        answer.compact_text()
        answer.varint()


def sizes(connection):
    """Return how many bytes this broker keeps (DescribeLogDirs, version 2)."""
    answer = connection.ask(35, 2, b"\0\0", flexible=True)
    answer.number("i")
    total = 0
    for __ in range(answer.varint() - 1):
        answer.number("h")
        answer.compact_text()
        for __ in range(answer.varint() - 1):
            answer.compact_text()
            for __ in range(answer.varint() - 1):
                answer.number("i")
                total += answer.number("q")
                answer.number("q")
                answer.number("b")
                answer.varint()
            answer.varint()
        answer.varint()
    return total


def keep_on(place, numbers):
    """Have these brokers keep everything, as many as there are copies of each, and wait until all of them do.

    A large log takes its time: this ends where nothing went on for a while.
    """
    ends, last, asked = time.monotonic() + SYNC_SECONDS, None, False
    while True:
        try:
            with Connection(place["port"]) as connection:
                partitions = Partitions(connection)
                if set(numbers) <= partitions.brokers and not asked:
                    wanted = {
                        key: [
                            *(one for one in replicas if one in numbers),
                            *(one for one in numbers if one not in replicas),
                        ]
                        for key, (replicas, __) in partitions.found.items()
                        if set(replicas) != set(numbers)
                    }
                    if wanted:
                        reassign(connection, wanted)
                    asked = True
                late = [
                    f"partition {partition} of {topic}"
                    for (topic, partition), (replicas, in_sync) in partitions.found.items()
                    if set(replicas) != set(numbers) or set(in_sync) != set(numbers)
                ]
                lacks = "" if set(numbers) <= partitions.brokers else f"{len(partitions.brokers)} brokers work"
                lacks = lacks or (f"{late[0]} (and {len(late) - 1} more)" if late else "")
                now = (len(late), sorted(partitions.brokers), sizes(connection))
        except OSError as error:
            lacks, now = str(error), last
        if asked and not lacks:
            return
        if now != last:
            ends, last = time.monotonic() + SYNC_SECONDS, now
        if time.monotonic() > ends:
            raise RefusedError(
                f"nothing is copied for {SYNC_SECONDS:.0f} s, and not all is where it should be: {lacks}"
            )
        time.sleep(0.2)


def gather(place):
    """Have the first broker alone keep everything."""
    if place.get("number") != 1:
        raise RefusedError(f"everything is to be on the first broker, and the files of this one say {place}")
    with Connection(place["port"]) as connection:
        expect_in_sync(connection, 1)
    keep_on(place, [1])


def spread(place):
    """Have as many brokers keep everything as there are copies, and only then expect more than one to have an event."""
    copies = list(range(1, place["copies"] + 1))
    with Connection(place["port"]) as connection:
        few = any(len(replicas) < len(copies) for replicas, __ in Partitions(connection).found.values())
    if few:
        keep_on(place, copies)
    with Connection(place["port"]) as connection:
        expect_in_sync(connection, place["in_sync"])


def lacking(place, seconds, others=True, patient=False):
    """Wait until this broker has what the others have; return what it lacks then, empty where that is nothing.

    With `patient`, as long as it copies something, too: a large log takes its time.
    """
    ends, has = time.monotonic() + seconds, None
    while True:
        now = has
        try:
            with Connection(place["port"]) as connection:
                lacks = not_in_sync(connection, place, others)
                if lacks and patient:
                    now = sizes(connection)
        except OSError as error:
            lacks = f"it does not answer: {error}"
        if now != has:
            ends, has = time.monotonic() + seconds, now
        if not lacks or time.monotonic() > ends:
            return lacks
        time.sleep(0.2)


def wait_until_in_sync(place):
    """Wait until this broker has what the others have: the next one is changed after that."""
    if lacks := lacking(place, SYNC_SECONDS, patient=True):
        raise RefusedError(f"broker {place['number']} is not in sync after {SYNC_SECONDS:.0f} s: {lacks}")


def eventually(true, what):
    ends = time.monotonic() + SECONDS
    while True:
        try:
            if true():
                return
            why = what
        except OSError as error:
            why = f"{what}: {error}"
        if time.monotonic() > ends:
            raise RefusedError(why)
        time.sleep(0.05)


def whole(connection, properties):
    """Return the names of the brokers that have everything, as this one knows it."""
    partitions = Partitions(connection)
    found = partitions.brokers.intersection(*(in_sync for __, in_sync in partitions.found.values()))
    (voters,) = (line.partition("=")[2] for line in properties.splitlines() if line.startswith(VOTERS))
    names = dict(voter.split(":")[0].split("@") for voter in voters.split(","))
    return [name for number, name in names.items() if int(number) in found]


def passwords_of(files):
    return {path[len(USERS) :]: password for path, password in files.items() if path.startswith(USERS)}


def counted(number):
    return "1 right" if number == 1 else f"{number} rights"


def look(passwords, users):
    """Yield what differs in the broker, one sentence each."""
    with Connection(CONTROLLER) as connection:
        has, wants = there(connection), wanted(users)
    for who in sorted({one[3] for one in has ^ wants}):
        lacks, more = (len([one for one in each if one[3] == who]) for each in (wants - has, has - wants))
        said = [f"lacks {counted(lacks)}"] * bool(lacks) + [f"has {counted(more)} not declared for it"] * bool(more)
        yield f"{who} {' and '.join(said)}"
    for user, one in passwords.items():
        if not signs_in(user, one):
            yield f"user {user} does not get in by the password of its file"


def main():
    given = json.load(sys.stdin)
    if given.get("copies"):
        with Connection(json.loads(given["now"][PLACE])["port"]) as connection:
            print(" ".join(whole(connection, given["config"][PROPERTIES])))
        return
    if given.get("look"):
        print("\n".join(look(passwords_of(given["now"]), json.loads(given["now"][RIGHTS]))))
        return
    place = json.loads(given["now"].get(PLACE, "{}"))
    if given.get("behind"):
        print(lacking(place, SECONDS, others=False) if place else "")
        return
    if given.get("gather"):
        gather(place)
        return
    passwords, before = passwords_of(given["now"]), passwords_of(given["before"])
    users = json.loads(given["now"][RIGHTS])
    if place:
        wait_until_in_sync(place)
    if place.get("number") == 1:
        spread(place)
    gone = sorted(set(before) - set(passwords))
    # Those that get in already keep their credential: a new one would cost their clients nothing, but tell of a change.
    new = {user: one for user, one in passwords.items() if before.get(user) != one or not signs_in(user, one)}
    with Connection(place.get("port", CONTROLLER)) as connection:
        has, wants = there(connection), wanted(users)
        change(connection, 30, wants - has)
        change(connection, 31, has - wants)
        if new or gone:
            write_passwords(connection, new, gone)
        eventually(lambda: there(connection) == wants, "the rights are not as they were written")
    for user, one in passwords.items():
        eventually(lambda user=user, one=one: signs_in(user, one), f"user {user} does not get in by the new password")
    for user, one in before.items():
        if passwords.get(user) != one:
            eventually(
                lambda user=user, one=one: not signs_in(user, one), f"user {user} still gets in by the old password"
            )
    told = [f"{user}: the new password works, and the old one does not" for user in new if user in before]
    print("; ".join(told))


try:
    main()
except (RefusedError, OSError) as error:
    print(f"Kafka: {error}", file=sys.stderr)
    sys.exit(1)
