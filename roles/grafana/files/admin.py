"""Gives the administrator of Grafana his new password, and verifies it. The platform runs it.

Grafana reads the password from its file only when it fills an empty database. This program runs in the network
namespace of its container, and needs the standard library alone. Standard input is JSON: `now` and `before` hold the
files that the container has and had, by path; `before` may be empty.
"""

import base64
import json
import sys
import urllib.error
import urllib.request

SERVER, SECONDS = "http://127.0.0.1:3000", 20.0
FILE = "/run/admin/password"


def ask(method, path, password, body=None):
    """Return the status of an answer to the administrator."""
    token = base64.b64encode(f"admin:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
    asked = urllib.request.Request(SERVER + path, json.dumps(body).encode() if body else None, headers, method=method)  # noqa: S310 - an address of its own
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=SECONDS) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def signs_in(password):
    return ask("GET", "/api/user", password) == 200


def main():
    given = json.load(sys.stdin)
    new, old = given["now"][FILE], given["before"].get(FILE)
    changes = old is not None and old != new
    if not signs_in(new):
        if not changes:
            print("its administrator has a password that somebody set in Grafana itself")
            return ""
        if not signs_in(old):
            return (
                "its administrator gets in by neither password, because somebody set another one in Grafana itself: "
                "set the one of the file there, then ask again"
            )
        body = {"oldPassword": old, "newPassword": new, "confirmNew": new}
        if (status := ask("PUT", "/api/user/password", old, body)) != 200:
            return f"it refuses the new password of its administrator: HTTP {status}"
        if not signs_in(new):
            return "its administrator does not get in by the new password"
    if changes:
        if signs_in(old):
            return "its administrator still gets in by the old password"
        print("admin: the new password works, and the old one does not")
    return ""


try:
    wrong = main()
except OSError as error:
    wrong = str(error)
if wrong:
    print(f"Grafana: {wrong}", file=sys.stderr)
    sys.exit(1)
