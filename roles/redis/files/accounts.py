"""Gives the users of Redis their passwords and rights while it runs, and verifies the passwords. The platform runs it.

It runs in the network namespace of the container, and needs the standard library alone. Standard input is JSON: `now`
and `before` hold the files that the container has and had, by path; `before` may be empty.
"""

import json
import socket
import sys

USERS, RULES = "/run/users/", ".acl"
SECONDS = 10.0
ADMIN = "admin"


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


def main():
    given = json.load(sys.stdin)
    now, before = users(given["now"]), users(given["before"])
    with Connection() as connection:
        admins = [one[ADMIN] for one in (before, now) if ADMIN in one]
        if not any(signs_in(connection, ADMIN, rules) for rules in admins):
            raise RefusedError(
                "its administrator gets in by neither password; `./sse restart redis` reads the files anew"
            )
        for user, rules in sorted(now.items(), key=lambda one: one[0] == ADMIN):
            connection.ask("ACL", "SETUSER", user, "reset", *rules)
        if gone := sorted(set(before) - set(now)):
            connection.ask("ACL", "DELUSER", *gone)
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
