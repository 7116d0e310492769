"""Asks a Redis that runs elsewhere whether a replica can work with it.

Started from the host before anything changes, and in each replica when the stack is verified, it needs the standard
library alone. The argument is JSON: what to ask, and `files` with the paths of password and authorities. Without
`files`, standard input is JSON with their texts. It prints JSON: `problems` and `notes`, each a list of sentences.
"""

import hashlib
import json
import secrets
import socket
import ssl
import sys
from pathlib import Path

SECONDS = 5.0
OLDEST = (6, 0)
EVICTS_NOTHING = "noeviction"
SCRIPT = "return 1"
KEPT = "60"  # seconds that a key stays
SHOWN = 120  # characters of an answer
MOST, DEEPEST = 1 << 20, 4  # bytes of an answer, and arrays within arrays; what says more is no Redis


class RefusedError(Exception):
    """What Redis refuses."""


class WrongError(Exception):
    """What is wrong; a sentence that says what was expected."""


def words(key, sha):
    """Return each command that a replica uses, on keys of its own: one for each type, which goes by itself."""
    text, fields, queue, scores = (f"{key}-{kind}" for kind in ("string", "hash", "list", "set"))
    return [
        *(("SET", text, "1", "EX", KEPT), ("GET", text), ("EXISTS", text), ("TYPE", text), ("DEL", text)),
        *(("HSET", fields, "a", "1"), ("EXPIRE", fields, KEPT)),
        *(("HGET", fields, "a"), ("HGETALL", fields), ("HDEL", fields, "a")),
        *(("RPUSH", queue, "1"), ("EXPIRE", queue, KEPT)),
        *(("LLEN", queue), ("LINDEX", queue, "0"), ("LRANGE", queue, "0", "0"), ("LPOP", queue)),
        *(("ZADD", scores, "1", "a"), ("EXPIRE", scores, KEPT)),
        *(("ZCOUNT", scores, "0", "1"), ("ZRANGE", scores, "0", "0"), ("ZREMRANGEBYRANK", scores, "0", "0")),
        *(("SCAN", "0", "MATCH", key), ("TIME",), ("PING",), ("SCRIPT", "LOAD", SCRIPT), ("EVALSHA", sha, "0")),
        ("EVAL", "return redis.call('exists', KEYS[1])", "1", text),
    ]


class Connection:
    """One connection; it speaks RESP 2."""

    def __init__(self, opened):
        self.socket = opened
        self.lines = opened.makefile("rb")

    def ask(self, *parts):
        text = [f"*{len(parts)}\r\n".encode()]
        text += [b"$%d\r\n%b\r\n" % (len(part.encode()), part.encode()) for part in parts]
        self.socket.sendall(b"".join(text))
        self.left = MOST
        return self.answer(DEEPEST)

    def answer(self, depth):
        line = self.taken(self.lines.readline(self.left + 1)).decode(errors="replace").rstrip()
        if not line or line[0] not in "+-:$*":
            said = f"it answers {line[:SHOWN]!r}" if line else "it closes the connection"
            raise WrongError(f"{said}: expected Redis there, and redis_remote_tls as it has it")
        if line[0] == "-":
            raise RefusedError(line[1:])
        if line[0] in "+:":
            return line[1:]
        number = int(line[1:])
        if number < 0:
            return None
        if line[0] == "$":
            return self.taken(self.lines.read(min(number, self.left) + 2))[:-2].decode(errors="replace")
        if not depth:
            raise WrongError(f"it answers more than {DEEPEST} arrays within each other: expected Redis there")
        return [self.answer(depth - 1) for __ in range(number)]

    def taken(self, data):
        self.left -= len(data)
        if self.left < 0:
            raise WrongError(f"it answers more than {MOST} bytes: expected Redis there")
        return data


def authorities(text):
    """Return them for OpenSSL, which takes ASCII: comments between certificates may hold anything."""
    return "".join(filter(str.isascii, text)) + "\n" if text else None


def connected(asked, secret):
    host, __, port = asked["server"].rpartition(":")
    host = host.strip("[]")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the second where a name is none, such as one with two dots in a row
        raise WrongError(f"the name {host} does not resolve ({error}): expected one that the DNS here knows") from None
    try:
        opened = socket.create_connection((host, int(port)), timeout=SECONDS)
    except OSError as error:
        raise WrongError(
            f"no connection to {found[0][4][0]}:{port} ({error}): expected that it listens there, and that no firewall "
            "is in the way"
        ) from None
    if not asked["tls"]:
        return opened
    by = "redis_remote_ca_file" if secret.get("ca") else "an authority that is trusted here (or redis_remote_ca_file)"
    try:
        context = ssl.create_default_context(cadata=authorities(secret.get("ca")))
    except (ssl.SSLError, ValueError):
        raise WrongError("redis_remote_ca_file holds no certificate: expected those of authorities, as PEM") from None
    try:
        return context.wrap_socket(opened, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise WrongError(
            f"its certificate is not accepted ({error.verify_message}): expected one for {host}, signed by {by}"
        ) from None
    except OSError as error:
        raise WrongError(f"no TLS ({error}): expected that it speaks TLS there, or redis_remote_tls false") from None


def signed_in(connection, asked, secret):
    if not secret.get("password"):
        return
    user = asked["user"]
    try:
        connection.ask("AUTH", *([user] if user else []), secret["password"])
    except RefusedError as error:
        who = f"user {user}" if user else "its default user"
        raise WrongError(
            f"it does not let {who} in ({str(error)[:SHOWN]}): expected the present password in "
            "redis_remote_password_file, and the name of its user in redis_remote_user"
        ) from None


def of_itself(connection):
    """Yield what is wrong with the server, and after it what is good to know."""
    try:
        lines = "".join(connection.ask("INFO", section) or "" for section in ("server", "memory", "cluster"))
    except RefusedError as error:
        if str(error).startswith("NOAUTH"):
            raise WrongError(
                "it asks for a password (NOAUTH): expected redis_remote_password_file, and redis_remote_user where "
                "it has users"
            ) from None
        yield [], ["it does not let INFO through, so its version and its maxmemory-policy are not known"]
        return
    known = {name: value for name, __, value in (line.partition(":") for line in lines.splitlines())}
    version = known.get("redis_version", "")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        yield [f"it is version {version or 'unknown'}: expected {oldest} or later"], []
    if known.get("cluster_enabled") == "1":
        yield ["it is a Redis Cluster, whose scripts reach one slot only: expected one that is not in cluster mode"], []
    policy = known.get("maxmemory_policy", EVICTS_NOTHING)
    if policy != EVICTS_NOTHING:
        told = (
            f"its maxmemory-policy is {policy}: when its memory is full, it throws away what the replicas keep there. "
            f"No event is lost, but long resumes read the log. {EVICTS_NOTHING} keeps everything, and then it has to "
            "have room"
        )
        yield [], [told]


def of_commands(connection, asked):
    """Return what keeps the replicas from their commands."""
    refused, other = [], []
    key = f"{asked['prefix']}sse-platform-{secrets.token_hex(8)}"
    sha = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()  # as Redis names scripts
    for command in words(key, sha):
        try:
            connection.ask(*command)
        except RefusedError as error:
            kind = str(error).split()[0]
            if kind == "NOSCRIPT":
                continue
            if kind == "NOPERM":
                refused.append(" ".join(command[:2]) if command[0] == "SCRIPT" else command[0])
            else:
                other.append(f"{command[0]} is refused ({error})")
    if refused:
        lacking = (
            f"user {asked['user'] or 'default'} may not use {', '.join(dict.fromkeys(refused))}: expected that he may, "
            f"on keys that begin with {asked['prefix']}"
        )
        other = [lacking, *other]
    if any("(READONLY" in one for one in other):
        return ["it is a replica that takes no writes: expected the address of the primary"]
    return other[:3]


def ask(asked, secret):
    problems, notes = [], []
    try:
        with connected(asked, secret) as opened:
            opened.settimeout(SECONDS)
            connection = Connection(opened)
            signed_in(connection, asked, secret)
            for wrong, told in of_itself(connection):
                problems += wrong
                notes += told
            if not problems:
                problems += of_commands(connection, asked)
    except WrongError as error:
        problems.append(str(error))
    except OSError as error:
        problems.append(
            f"it does not answer ({error or type(error).__name__}): expected Redis there, and redis_remote_tls as it "
            "has it"
        )
    except (ValueError, TypeError, IndexError) as error:
        problems.append(
            f"it does not answer as Redis does ({str(error)[:SHOWN]}): expected Redis there, and redis_remote_tls as "
            "it has it"
        )
    return {"problems": problems, "notes": notes}


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
