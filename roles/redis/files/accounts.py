"""Gives the users of Redis their passwords and rights while it runs, and verifies the passwords. The platform runs it.

It runs in the network namespace of the container, and needs the standard library alone. Standard input is JSON: `now`
and `before` hold the files that the container has and had, by path; `before` may be empty. `config` holds redis.conf.
With `look` it changes nothing, and prints what differs in Redis, one line for each thing.
"""

import json
import os
import socket
import sys

USERS, RULES = "/run/users/", ".acl"
SECONDS = 10.0
ADMIN, DEFAULT, TRIED = "admin", "default", "sse-platform-tried-"
OFF = ("off", "resetpass", "resetkeys", "resetchannels", "-@all")  # as redis.conf has the user default
UNITS = {"": 1, "k": 1000, "kb": 1024, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30}
WORDS = {"maxmemory-policy", "appendfsync", "loglevel"}
# Redis takes them only when it starts, and lowers the last one by itself to the files that it may open.
FIXED = {"bind", "port", "dir", "databases", "maxclients"}
SECRET = ("pass", "auth")  # how the names of directives end whose values nobody may read, such as masterauth


class RefusedError(Exception):
    """What Redis refuses."""


class Connection:
    """One connection; it speaks RESP 2."""

    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", 6379), timeout=SECONDS)
        self.lines = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, *words):
        parts = [f"*{len(words)}\r\n".encode()]
        parts += [b"$%d\r\n%b\r\n" % (len(word.encode()), word.encode()) for word in words]
        self.socket.sendall(b"".join(parts))
        return self.answer()

    def answer(self):
        line = self.lines.readline().decode().rstrip()
        if not line:
            raise OSError("Redis closed the connection")
        if line[0] == "-":
            raise RefusedError(line[1:])
        if line[0] == "$":
            return None if line == "$-1" else self.lines.read(int(line[1:]) + 2)[:-2].decode()
        if line[0] == "*":
            return [self.answer() for __ in range(int(line[1:]))]
        return line[1:]


def users(files):
    """Return the rules of each user: user NAME RULE RULE ..."""
    found = {}
    for path, rules in files.items():
        if path.startswith(USERS) and path.endswith(RULES):
            __, user, *words = rules.split()
            found[user] = words
    return found


def password(rules):
    """Return the password among the rules of a user; None for one who has none."""
    return next((one[1:] for one in rules if one.startswith(">")), None)


def signs_in(connection, user, rules):
    """Tell whether a user gets in by a password."""
    try:
        connection.ask("AUTH", user, password(rules))
    except RefusedError as error:
        if str(error).startswith("WRONGPASS"):
            return False
        raise
    return True


def plain(value):
    """Return a value of a directive so that two ways to write it are the same."""
    value = value.strip('"')
    number, unit = value[: len(value.rstrip("kmgb"))], value[len(value.rstrip("kmgb")) :]
    return str(int(number) * UNITS[unit]) if number.isdigit() and unit in UNITS else value


def directives(config):
    """Return the directives that can be compared: numbers, yes and no, and words that Redis keeps as they are."""
    lines = [line.split() for text in config.values() for line in text.splitlines()]
    found = {line[0].lower(): plain(line[1].lower()) for line in lines if len(line) == 2}
    return {
        name: one
        for name, one in found.items()
        if name not in FIXED and not name.endswith(SECRET) and (one.isdigit() or one in {"yes", "no"} or name in WORDS)
    }


def other_directives(connection, config):
    """Return the directives that somebody changed: name -> what Redis has, and what its file says."""
    found = {}
    for name, wanted in directives(config).items():
        answer = connection.ask("CONFIG", "GET", name)
        if len(answer) == 2 and plain(answer[1].lower()) != wanted:
            found[name] = (answer[1], wanted)
    return found


def rights(connection, user):
    """Return what a user may do, as Redis keeps it."""
    answer = connection.ask("ACL", "GETUSER", user)
    known = dict(zip(answer[::2], answer[1::2], strict=True))
    return [known.get(key) for key in ("commands", "keys", "channels", "selectors")]


def other_users(connection, now):
    """Return what differs of the users, one sentence each."""
    there = {one for one in connection.ask("ACL", "USERS") if one != DEFAULT and not one.startswith(TRIED)}
    tried = f"{TRIED}{os.getpid()}"  # somebody else may look at the same time
    yield from (f"user {user} is not declared" for user in sorted(there - set(now)))
    if "on" in connection.ask("ACL", "GETUSER", DEFAULT)[1]:
        yield f"user {DEFAULT} is on"
    for user, rules in sorted(now.items()):
        if user not in there:
            yield f"user {user} is missing"
            continue
        # A user who is off and has no password shows how Redis keeps these rules.
        connection.ask("ACL", "SETUSER", tried, "reset", *(one for one in rules if one != "on" and one[0] != ">"))
        wanted = rights(connection, tried)
        connection.ask("ACL", "DELUSER", tried)
        if rights(connection, user) != wanted:
            yield f"user {user} has other rights than its rules say"
        if not password(rules):
            continue
        with Connection() as own:
            if not signs_in(own, user, rules):
                yield f"user {user} does not get in by the password of its file"


def look(now, config):
    """Return what differs in Redis, one sentence each."""
    with Connection() as connection:
        if not signs_in(connection, ADMIN, now[ADMIN]):
            return []  # its health check fails by this, too
        wrong = list(other_users(connection, now))
        other = other_directives(connection, config).items()
        return wrong + [f"{name} is {has} -> {wanted}" for name, (has, wanted) in other]


def main():
    given = json.load(sys.stdin)
    if given.get("look"):
        print("\n".join(look(users(given["now"]), given["config"])))
        return
    now, before = users(given["now"]), users(given["before"])
    with Connection() as connection:
        admins = [one[ADMIN] for one in (before, now) if ADMIN in one]
        if not any(signs_in(connection, ADMIN, rules) for rules in admins):
            raise RefusedError(
                "its administrator gets in by neither password; `./sse restart redis` reads the files anew"
            )
        for user, rules in sorted(now.items(), key=lambda one: one[0] == ADMIN):
            connection.ask("ACL", "SETUSER", user, "reset", *rules)
        if gone := sorted({*before, *connection.ask("ACL", "USERS")} - {*now, DEFAULT}):
            connection.ask("ACL", "DELUSER", *gone)
        connection.ask("ACL", "SETUSER", DEFAULT, *OFF)
        for name, (__, wanted) in other_directives(connection, given.get("config", {})).items():
            connection.ask("CONFIG", "SET", name, wanted)
    changed = [user for user in before if password(now.get(user, [])) != password(before[user])]
    for user, rules in now.items():
        with Connection() as connection:
            if password(rules) and not signs_in(connection, user, rules):
                raise RefusedError(f"user {user} does not get in by the new password")
    for user in changed:
        with Connection() as connection:
            if password(before[user]) and signs_in(connection, user, before[user]):
                raise RefusedError(f"user {user} still gets in by the old password")
    told = [f"{user}: the new password works, and the old one does not" for user in changed if user in now]
    print("; ".join(told))


try:
    main()
except (RefusedError, OSError) as error:
    print(f"Redis: {error}", file=sys.stderr)
    sys.exit(1)
