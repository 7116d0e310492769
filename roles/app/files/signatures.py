"""Verifies that the service signs tickets by its newest key and by no other that is gone. The platform runs it.

It runs in the network namespace of the container of a replica, and needs the standard library alone. Standard input is
JSON: `now` and `before` hold the files that the container has and had, by path. A ticket that is long over is shown to
the replica: it says "expired" if it knows the key, and "not signed" otherwise. So nothing is opened by it.
"""

import base64
import hashlib
import hmac
import json
import sys
import time
import urllib.error
import urllib.request

SERVER, FILE = "http://127.0.0.1:8000", "/run/auth/tickets"
SECONDS = 20.0  # until the replica has read its files again, which it does every other second


def encoded(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def ticket(key):
    """Return a ticket as sse_app/access/tickets.py signs it, whose time was over in 1970."""
    body = encoded(json.dumps(["ticket", "verify", "", [], [], 0, 1, 1, False], separators=(",", ":")).encode())
    mac = hmac.new(key.encode(), b"sse_app ticket\0" + body.encode(), hashlib.sha256).digest()
    return f"{body}.{encoded(mac)}"


def knows(key):
    """Tell whether the replica knows a key."""
    asked = f"{SERVER}/api/v1/stream?channel=sse-platform.verify&ticket={ticket(key)}"
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=SECONDS) as answer:
            detail = f"HTTP {answer.status}"
    except urllib.error.HTTPError as error:
        detail = error.read().decode(errors="replace")
    if "has expired" in detail:
        return True
    return False if "was not signed" in detail else detail[:200]


def main():
    given = json.load(sys.stdin)
    now, before = (given[one].get(FILE, "").split() for one in ("now", "before"))
    wanted = {**dict.fromkeys(before, False), **dict.fromkeys(now, True)}
    ends = time.monotonic() + SECONDS
    while wrong := {key: found for key in wanted if (found := knows(key)) != wanted[key]}:
        if time.monotonic() > ends:
            found = next(iter(wrong.values()))
            return "a key counts in the wrong way" if isinstance(found, bool) else f"it answers {found}"
        time.sleep(0.1)
    if before and now != before:
        gone = "and the old one does not" if set(before) - set(now) else "beside the old one"
        print(f"tickets: the new key works, {gone}")
    return ""


try:
    wrong = main()
except OSError as error:
    wrong = str(error)
if wrong:
    print(f"tickets: {wrong}", file=sys.stderr)
    sys.exit(1)
