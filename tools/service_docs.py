"""Write the tables of keys in docs/services.md from the parsers: python tools/service_docs.py."""

from __future__ import annotations

import json
import re
from typing import Any

from containers import ROOT

# isort: split
from ansible_collections.sse.platform.plugins.module_utils.model import release, route, spec

PAGE = ROOT / "docs/services.md"
# What each key holds. The parsers know the keys and the defaults; a test compares both.
MEANINGS: dict[str, dict[str, str]] = {
    "service": {
        "containers": "its containers, by short name; the keys are in the next table",
        "secrets": "its secrets, by name: `{kind: password, bytes: 32}`, `{kind: certificate, key: NAME}`, "
        "`{kind: uuid-base64}` or `{kind: given}`; `readers` lists other services that may read one; "
        "`overlap: true` says that they accept several, one a line; `kept` says why it cannot be rotated",
        "unlimited": "limits for its clients that are off: name of a container -> list of settings (`./sse audit`)",
        "secret_files": "files on the controller that hold secrets of the kind `given`: name of the secret -> path",
        "routes": "what NGINX passes on to it",
        "metrics": "what Prometheus scrapes: `job`, `targets`, `path`, rules of Prometheus as `alerts`, "
        "`takes_alerts: true` for an Alertmanager, and `each_host: true` for a container that has it, too. An alert "
        "with the annotation `mend` is a finding of `./sse doctor` while it fires",
        "checks": "what `./sse verify` asks, such as `{kind: http, port: 8090, path: /}`",
        "drill": "how `./sse backup --drill` resumes by ids from before; for services of the platform",
        "endpoints": "what the summary of a run shows: `name`, `url`, `container`",
        "canary": "Prometheus expressions that judge the first new replica: `name`, `expr`, `above` or `below`",
        "elsewhere": "what it uses on somebody else's servers: `name`, `servers` (`host:port`), `part` such as a "
        "topic, `containers` that connect, `why`, and a `program` that asks whether it fits; for services of the "
        "platform",
        "resize": "the program that brings data from one container to several with copies; for the platform",
        "existing_data": "which data on the host fit it; for services of the platform",
    },
    "container": {
        "image": "which program; see above",
        "entrypoint": "the program and its first arguments; that of the image is never used",
        "user": "numeric user and group, such as `'20100:20100'`, who own its files",
        "healthcheck": "how it is asked whether it works: by a `command` inside it, or over `http` from the host",
        "address": "host number in each network of the stack, from 100 to 127 for services of your own; without one, "
        "the engine chooses",
        "segments": "which networks it is on with `network_layout: segmented`: `network`, `app`, `data`, `monitoring`, "
        "and `ports` if it publishes ports",
        "listens": "TCP ports that it listens on",
        "reaches": "every connection that it opens; all others are refused with `network_layout: segmented`",
        "reaches_host": "ports of programs on the host itself that it connects to, as `host.docker.internal`",
        "ways_out": "servers outside of the stack (`host:port`); with `network_layout: segmented` it reaches no others",
        "command": "more arguments",
        "environment": "environment variables",
        "config": "directory in the container -> file -> content",
        "secrets": (
            "directory in the container -> file -> `{secret: NAME}`, and `format` for text around it: `{}` is the "
            "secret, `{sha256}` its hash, `{pair}` the certificate of a key"
        ),
        "live_secrets": "as `secrets`, for a program that reads them again by itself",
        "data": (
            "directory in the container -> directory below the data of the container on the host; it is kept. A backup "
            "keeps `secrets`, and what is below it, with the secrets of the stack"
        ),
        "binds": "path in the container -> path on the host, read-only",
        "shared": "directory in the container -> name of a directory that containers of one user have in common, "
        "for their sockets",
        "tmpfs": "directory in the container -> size; it is in memory",
        "memory": "limit of its memory, such as `64m`",
        "pids": "limit of its processes and threads",
        "cpu_shares": "its weight where all containers want the processors: twice as much gets twice the time",
        "open_files": "limit of its open files",
        "ports": "ports that the host offers",
        "aliases": "more names in the networks of the stack",
        "hosts": "containers whose names it gets in `/etc/hosts`, so that it finds them while the engine is down",
        "after": "containers that must be healthy before it starts",
        "rolling": "it is one of several replicas: they are replaced one after the other",
        "each_host": "each host of a cluster runs one, because it is about the host that it runs on",
        "reload": "how it reads its files again while it runs",
        "farewell": "container -> signal: before this one is replaced, that one ends the streams through it",
        "tier": "where pictures show it: `entry`, `replicas`, `data` or `watchers`; else its connections tell",
        "stop_signal": "the signal that ends it",
        "stop_timeout": "seconds until it is killed if that signal did not end it",
        "init": "a small first process that reaps its children",
        "capabilities": "Linux capabilities; all others are dropped",
        "read_only": "its root file system cannot be written to",
        "sysctls": "kernel settings of its network namespace",
        "group_add": "more groups of its user, as numbers",
        "name": "its full name; without one, it is the name of the stack and its short name",
    },
    "healthcheck": {
        "http": "`{port: 8090, path: /health}`: any answer of 2xx is healthy; asked by the host in each run",
        "command": "a command inside the container that ends with 0; run by the engine again and again; `http` asks "
        "inside what `http` asks from the host, and needs bash or busybox in the image",
        "interval": "seconds between two runs of the command; each starts a process, and takes some 60 ms of a core",
        "timeout": "seconds until a check counts as failed",
        "retries": "how many checks must fail in a row",
        "start": "seconds that a container may need until it is healthy for the first time",
    },
    "port": {
        "host_ip": "address of the host; `127.0.0.1` is the host alone",
        "host_port": "port of the host",
        "container_port": "port of the container",
    },
    "reach": {"to": "`name:port` of a container", "why": "the reason, for people"},
    "route": {
        "path": "paths that begin with it; end it with `/`",
        "containers": "who answers; with several, the least busy one",
        "port": "the port that they listen on",
        "strip": "pass on requests without the path of the route: `/hello/you` arrives as `/you`. The header "
        "`X-Forwarded-Prefix` holds `/hello`",
        "streams": "exact paths that answer with an event stream",
        "offers": "path at which each container says whether it takes one more stream, and how many it has: see below",
        "heartbeat_seconds": "how often such a stream says something; needed with `streams`",
        "publishes": "exact paths that store something under an idempotency key",
        "publish_seconds": "how long that may take; needed with `publishes`",
        "max_body_bytes": "how long the body of a request may be: NGINX gathers it in memory before it passes it on",
        "reserves": "containers that may come later: NGINX knows their addresses, and needs only a reload for them",
        "farewell": "signal at which a container ends its streams with `bye` and goes on, before NGINX is replaced",
        "sockets": "container -> file of its Unix socket on the host",
        "socket_group": "group that may use these sockets; needed with `sockets`",
    },
    "reload": {
        "check": "the command that checks the files, in a throwaway container of the same image",
        "signal": "the signal for its first process",
        "says": "what it writes to its log when the new files count",
        "old_processes": "processes that only serve connections from before: `title`, and how many `generations`",
        "program": "instead of `check` and `says`: a Python program that makes the files count",
        "takes": "the directories whose files this program makes count; other files need a new container",
        "at_start": "whether the program also runs when the container has started",
        "looks": "whether the program can also tell where the running server differs from its files",
    },
}
FIELDS: dict[str, dict[str, Any]] = {
    "service": dict.fromkeys(sorted(release.KEYS), (None, None)),
    "container": spec.DECLARATION,
    "healthcheck": spec.HEALTH_CHECK,
    "port": spec.PUBLISHED_PORT,
    "reach": spec.REACH,
    "route": route.ROUTE,
    "reload": spec.RELOAD,
}


def default(value: Any) -> str:
    """Return what a key is when it is left out."""
    if value is ...:
        return "**required**"
    if value in (None, [], {}):
        return ""
    if value == spec.DECLARATION["memory"][1]:
        return "`256m`"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def table(name: str) -> str:
    """Return the table of one kind of keys, in the order of the meanings."""
    fields = FIELDS[name]
    rows = [f"| `{key}` | {default(fields[key][1])} | {meaning} |" for key, meaning in MEANINGS[name].items()]
    return "\n".join(["| key | default | what it holds |", "|---|---|---|", *rows])


def page(text: str) -> str:
    """Return the page with its tables written anew."""
    return re.sub(
        r"(<!-- keys: (\w+) -->\n).*?(<!-- /keys -->)",
        lambda found: f"{found[1]}{table(found[2])}\n{found[3]}",
        text,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
