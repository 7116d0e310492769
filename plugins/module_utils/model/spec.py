# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What a container is: plain data, with every key known, checked and normalised in one place.

A declaration is what a role writes ("128m", short names, host numbers). A spec is the same, resolved to what the engine
takes (bytes, full names, addresses). Both are dictionaries that JSON can hold.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.model.segments import SEGMENTS
from ansible_collections.sse.platform.plugins.module_utils.model.tiers import TIERS

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Declaration, Reload, Spec

UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}

# What containers call their host, and the engine's word for docker0's address, which is not the gateway of the
# container's network (https://docs.docker.com/reference/cli/docker/container/run/#add-host).
HOST, GATEWAY = "host.docker.internal", "host-gateway"

# Keys that say how containers relate, not what a container is: changing them recreates nothing. A weight says which
# container goes first where all of them want the processors; it changes while they run.
RELATIONS = frozenset(
    {"after", "rolling", "reaches", "listens", "reload", "farewell", "cpu_shares", "tier", "ways_out", "each_host"}
)

# What a running container takes over when it reloads: its files; and what only this collection reads.
RELOADED = frozenset({"config", "secrets", "fingerprints", "stop_timeout", "reaches_host"})

# A parser takes a value and the place where it stands, and returns the normalised value or raises SpecError.
Parser = Callable[[Any, str], Any]
Fields = dict[str, tuple[Parser, Any]]  # by key, each with its default; ... means that it is required


class SpecError(ValueError):
    """A declaration is not valid; the message names the place and says what was expected there."""


def refuse(path: str, value: object, expected: str) -> SpecError:
    """Build the error for a value at ``path``."""
    return SpecError(f"{path}: {value!r} is not accepted; expected {expected}")


def text(value: Any, path: str) -> str:
    """Accept a non-empty string."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise refuse(path, value, "a non-empty string")
    return str(value)


def matching(pattern: str, expected: str) -> Callable[[Any, str], str]:
    """Accept a string that matches as a whole."""

    def parse(value: Any, path: str) -> str:
        if not re.fullmatch(pattern, text(value, path)):
            raise refuse(path, value, expected)
        return str(value)

    return parse


# Numeric, so that the user table of an image does not matter.
USER = matching(r"[0-9]{1,10}:[0-9]{1,10}", "numeric uid:gid such as '10001:10001'")
# A DNS label (RFC 1123, section 2.1).
short_name = matching(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", "a name of a-z, 0-9 and '-', at most 63 characters")
segment = matching("|".join(SEGMENTS), f"one of {', '.join(SEGMENTS)}")
tier = matching("|".join(TIERS), f"one of {', '.join(TIERS)}")


def peer(value: Any, path: str) -> str:
    """Accept name:port."""
    found = re.fullmatch(r"[a-z0-9][a-z0-9.-]*:(\d{1,5})", text(value, path))
    if not found or not 1 <= int(found[1]) <= 65535:
        raise refuse(path, value, "name:port such as 'database:5432'")
    return str(value)


def server(value: Any, path: str) -> str:
    """Accept host:port, of a server anywhere; an IPv6 address is in brackets (RFC 3986, section 3.2.2)."""
    found = re.fullmatch(r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\]):(\d{1,5})", text(value, path))
    if not found or not 1 <= int(found[1]) <= 65535:
        raise refuse(path, value, "host:port such as 'db.example.org:5432'")
    return str(value)


def flag(value: Any, path: str) -> bool:
    """Accept a boolean."""
    if not isinstance(value, bool):
        raise refuse(path, value, "true or false")
    return value


def count(value: Any, path: str) -> int:
    """Accept an integer of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise refuse(path, value, "an integer of at least 0")
    return int(value)


def between(least: int, most: int, expected: str) -> Callable[[Any, str], int]:
    """Accept an integer in a range; the engine and the kernel judge later, when others have been replaced."""

    def parse(value: Any, path: str) -> int:
        if not least <= count(value, path) <= most:
            raise refuse(path, value, f"{expected} from {least} to {most}")
        return int(value)

    return parse


def user(value: Any, path: str) -> str:
    """Accept a user by numbers, as large as runc takes them."""
    if any(int(one) > 2**31 - 1 for one in USER(value, path).split(":")):
        raise refuse(path, value, f"numbers of at most {2**31 - 1}")
    return str(value)


def weight(value: Any, path: str) -> int:
    """Accept a weight of processor time, as the kernel has them (cgroups(7)); the engine's default is 1024."""
    if not 2 <= count(value, path) <= 262144:
        raise refuse(path, value, "a weight from 2 to 262144, where 1024 is the usual one")
    return int(value)


def port(value: Any, path: str) -> int:
    """Accept a TCP port."""
    if not 1 <= count(value, path) <= 65535:
        raise refuse(path, value, "a port from 1 to 65535")
    return int(value)


def size(value: Any, path: str) -> int:
    """Accept bytes as an integer, or a string with a unit (b, k, m, g; powers of 1024, as Docker counts them)."""
    if not isinstance(value, str):
        return count(value, path)
    match = re.fullmatch(r"(\d+)([bkmg]?)b?", value.strip().lower())
    if not match:
        raise refuse(path, value, "a size such as 64m or 1g")
    return int(match[1]) * UNITS[match[2]]


def size_between(least: str, most: str, why: str) -> Callable[[Any, str], int]:
    """Accept a size in a range.

    :param why: whose least it is, for the message
    """

    def parse(value: Any, path: str) -> int:
        found = size(value, path)
        if not UNITS[least[-1]] * int(least[:-1]) <= found <= UNITS[most[-1]] * int(most[:-1]):
            raise refuse(path, value, f"a size from {least} to {most} ({why})")
        return found

    return parse


# Each is the least that makes a container which the engine and the kernel accept, and which has a bound at all: 0 would
# mean none (docker run --memory; tmpfs(5)).
LEAST_MEMORY, MOST_MEMORY = "6m", "65536g"
memory = size_between(LEAST_MEMORY, MOST_MEMORY, f"{LEAST_MEMORY} is the least that Docker gives a container")
tmpfs_size = size_between("4k", MOST_MEMORY, "4k is one page of memory")
pids = between(1, 4_194_304, "a number of processes")  # PID_MAX_LIMIT of the kernel
open_files = between(16, 1_048_576, "a number of files")  # fs.nr_open, as the kernel has it by default
some_seconds = between(1, 86_400, "seconds")
seconds = between(0, 86_400, "seconds")


def place(value: Any, path: str) -> str:
    """Accept where something is mounted: not on the root, and without a colon, which separates the parts of a bind."""
    if ":" in absolute(value, path) or not value.strip("/."):
        raise refuse(path, value, "an absolute path below / without a colon")
    return str(value)


def address(value: Any, path: str) -> str:
    """Accept an address of the host that a port is published on."""
    try:
        return str(value) if ipaddress.ip_address(text(value, path)) else ""
    except ValueError:
        raise refuse(path, value, "an IPv4 or IPv6 address of the host such as 127.0.0.1") from None


variable = matching(r"[^=\s\x00-\x1f\x7f]+", "the name of a variable, without '=' and spaces")
container_name = matching(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,62}", "2 to 63 of A-Z, a-z, 0-9, _, . and -")
SIGNALS = (
    "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP "
    "TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ"
)
stop_signal = matching(
    rf"(SIG)?({SIGNALS.replace(' ', '|')}|RT(MIN|MAX)([+-][0-9]{{1,2}})?)|[1-9]|[1-5][0-9]|6[0-4]",
    "a signal such as SIGTERM",
)
# capabilities(7)
CAPABILITIES = (
    "ALL AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH "
    "FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN "
    "NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT "
    "SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM"
)
capability = matching(rf"(CAP_)?({CAPABILITIES.replace(' ', '|')})", "a capability such as NET_BIND_SERVICE")
# Those that a container has for itself (docker run --sysctl).
sysctl = matching(
    r"net\.[a-z0-9_./-]+|fs\.mqueue\.[a-z_]+|kernel\.(msg(max|mnb|mni)|sem|shm(all|max|mni|_rmid_forced))",
    "a setting that a container has for itself: net.*, fs.mqueue.*, or one of kernel.msg*, kernel.sem and kernel.shm*",
)


def absolute(value: Any, path: str) -> str:
    """Accept an absolute path without dots."""
    if not text(value, path).startswith("/") or "/../" in f"{value}/":
        raise refuse(path, value, "an absolute path")
    return str(value)


def file_name(value: Any, path: str) -> str:
    """Accept a relative file path that stays below its directory."""
    if text(value, path).startswith("/") or ".." in value.split("/"):
        raise refuse(path, value, "a file name below the directory")
    return str(value)


def scalar(value: Any, path: str) -> str:
    """Accept what an environment or sysctl value may be; return it as a string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)) or "\0" in str(value):
        raise refuse(path, value, "a string or a number")
    return str(value)


def dictionary(value: Any, path: str) -> dict[str, Any]:
    """Accept a dictionary."""
    if not isinstance(value, dict):
        raise refuse(path, value, "a dictionary")
    return cast("dict[str, Any]", value)


def list_of(item: Parser) -> Parser:
    """Accept a list of ``item``."""

    def parse(value: Any, path: str) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise refuse(path, value, "a list")
        return [item(one, f"{path}[{index}]") for index, one in enumerate(cast("list[Any]", value))]

    return parse


def dict_of(key: Parser, item: Parser) -> Parser:
    """Accept a dictionary from ``key`` to ``item``."""

    def parse(value: Any, path: str) -> dict[str, Any]:
        return {key(name, path): item(one, f"{path}.{name}") for name, one in dictionary(value, path).items()}

    return parse


def record(fields: Mapping[str, tuple[Parser, Any]]) -> Parser:
    """Accept a dictionary of exactly these fields, each ``(parser, default)``; the default ``...`` means required."""

    def parse(value: Any, path: str) -> dict[str, Any]:
        given = dictionary(value, path)
        unknown = sorted(set(given) - set(fields))
        if unknown:
            known = ", ".join(sorted(fields))
            raise SpecError(f"{path}.{unknown[0]}: unknown key; known keys are {known}")
        missing = sorted(name for name, (__, default) in fields.items() if default is ... and name not in given)
        if missing:
            raise SpecError(f"{path}.{missing[0]}: required, and missing")
        return {
            name: parser(given[name], f"{path}.{name}") if given.get(name) is not None else default
            for name, (parser, default) in fields.items()
        }

    return parse


# A reference as the engine takes it (distribution/reference): [registry/]path[:tag][@digest].
REFERENCE = re.compile(
    r"(?P<name>(?:[a-zA-Z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)(?P<tag>:\w[\w.-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?"
)
IMAGE_EXPECTED = "a name of the image catalogue, a reference such as alpine:3.22, {build: directory} or {archive: file}"
# An image of one's own: built from a directory on the controller, or loaded from an archive there.
IMAGE_BUILD: Fields = {"build": (text, ...), "from": (dict_of(text, text), {}), "args": (dict_of(text, scalar), {})}
IMAGE_ARCHIVE: Fields = {"archive": (text, ...), "reference": (text, "")}


def image(value: Any, path: str) -> str:
    """Accept an image's name, reference, build or archive; return the key that it is known by among the images."""
    if isinstance(value, dict):
        fields = IMAGE_ARCHIVE if "archive" in value else IMAGE_BUILD
        return json.dumps(record(fields)(value, path), sort_keys=True)
    if not isinstance(value, str) or not REFERENCE.fullmatch(value):
        raise refuse(path, value, IMAGE_EXPECTED)
    return str(value)


# The keys of each record are those of its TypedDict in types.py; a test compares them.
PUBLISHED_PORT: Fields = {"host_ip": (address, ...), "host_port": (port, ...), "container_port": (port, ...)}
REACH: Fields = {"to": (peer, ...), "why": (text, ...)}
SECRET_FILE = {"secret": (text, ...), "format": (text, "{}")}
HTTP_CHECK = {"port": (port, ...), "path": (absolute, "/")}
# `command: http` has the engine ask inside the container what the host asks over HTTP. Bash asks without a further
# process; an image with busybox has wget.
SAME_AS_HTTP = ["http"]  # known by its identity: a list of the same word is a command of that name
ASK_INSIDE = (
    "if command -v bash >/dev/null; then exec bash -c '"
    'exec 3<>"/dev/tcp/127.0.0.1/$0" && printf "GET %s HTTP/1.0\\r\\n\\r\\n" "$1" >&3 '
    """&& read -r -t 4 _ status _ <&3 && [ "${status:0:1}" = 2 ]' "$0" "$1"; fi; """
    'exec wget -q -T 4 -O /dev/null "http://127.0.0.1:$0$1"'
)


def health_command(value: Any, path: str) -> list[str]:
    """Accept a command, or `http` for the request of the same health check."""
    return SAME_AS_HTTP if value == SAME_AS_HTTP[0] else list_of(text)(value, path)


HEALTH_CHECK: Fields = {
    "command": (health_command, None),
    "http": (record(HTTP_CHECK), None),
    "interval": (some_seconds, 10),  # seconds; each check is a process of its own, so declarations have at least 5
    "timeout": (some_seconds, 5),
    "retries": (between(1, 1000, "a number of tries"), 3),
    "start": (seconds, 60),  # seconds until a container that never answered counts as failed
}
OLD_PROCESSES: Fields = {"title": (text, ...), "generations": (count, 4)}
RELOAD: Fields = {
    "check": (list_of(text), []),
    "signal": (matching("SIG(HUP|USR1|USR2)", "SIGHUP, SIGUSR1 or SIGUSR2"), "SIGHUP"),
    "says": (text, ""),
    "old_processes": (record(OLD_PROCESSES), None),
    "program": (text, ""),
    "takes": (list_of(absolute), []),
    "at_start": (flag, True),
    "looks": (flag, False),
}
SECRET_FILES = dict_of(place, dict_of(file_name, record(SECRET_FILE)))

DECLARATION: dict[str, tuple[Parser, Any]] = {
    "name": (container_name, None),
    "image": (image, ...),
    "address": (count, None),
    "segments": (list_of(segment), []),
    "aliases": (list_of(short_name), []),
    "entrypoint": (list_of(text), ...),
    "command": (list_of(scalar), []),
    "user": (user, ...),
    "environment": (dict_of(variable, scalar), {}),
    "config": (dict_of(place, dict_of(file_name, lambda value, __: str(value))), {}),
    "secrets": (SECRET_FILES, {}),
    # For a service that reads its secrets again when they change: changing them recreates nothing.
    "live_secrets": (SECRET_FILES, {}),
    "data": (dict_of(place, file_name), {}),
    "binds": (dict_of(place, absolute), {}),
    "shared": (dict_of(place, short_name), {}),
    "tmpfs": (dict_of(place, tmpfs_size), {}),
    "ports": (list_of(record(PUBLISHED_PORT)), []),
    "memory": (memory, 256 * 2**20),
    "pids": (pids, 256),
    "cpu_shares": (weight, 1024),
    "open_files": (open_files, 4096),
    "init": (flag, False),
    "hosts": (list_of(short_name), []),
    "healthcheck": (record(HEALTH_CHECK), ...),
    "stop_signal": (stop_signal, "SIGTERM"),
    "stop_timeout": (seconds, 10),
    "capabilities": (list_of(capability), []),
    "read_only": (flag, True),
    "sysctls": (dict_of(sysctl, scalar), {}),
    "group_add": (list_of(scalar), []),
    "after": (list_of(short_name), []),
    "rolling": (flag, False),
    "listens": (list_of(port), []),
    "reaches": (list_of(record(REACH)), []),
    "reaches_host": (list_of(port), []),  # ports of services on the host itself
    # For a service that reads its config and its secrets again at a signal: changing them replaces nothing.
    "reload": (record(RELOAD), None),
    "ways_out": (list_of(server), []),  # servers outside of the stack; in segments it reaches no others there
    # Before this container is replaced, these end the streams that pass through it with a `bye`.
    "farewell": (dict_of(short_name, matching("SIG(HUP|USR1|USR2)", "SIGHUP, SIGUSR1 or SIGUSR2")), {}),
    "tier": (tier, None),  # where pictures of the stack show it
    "each_host": (flag, False),  # of a cluster, because it is about the host that it runs on
}
PARSE_DECLARATION = record(DECLARATION)


def parse(value: Any, path: str) -> Declaration:
    """Check and normalise one declared container.

    :param path: where the declaration stands, for messages, such as ``redis.containers.redis-master``
    :raises SpecError: for an unknown key, for a missing one, or for a value that is not accepted
    """
    declared = cast("Declaration", PARSE_DECLARATION(value, path))
    mounted = [target.rstrip("/") for key in ("data", "binds", "shared", "tmpfs") for target in declared.get(key, {})]
    if twice := sorted({one for one in mounted if mounted.count(one) > 1}):
        raise SpecError(f"{path}: {twice[0]} is mounted twice; expected one of data, binds, shared and tmpfs for it")
    check = declared["healthcheck"]
    if check["command"] is None and check["http"] is None:
        raise SpecError(f"{path}.healthcheck: give command, http, or both")
    if check["command"] is SAME_AS_HTTP:
        if check["http"] is None:
            raise SpecError(f"{path}.healthcheck.http: required where command is http, and missing")
        check["command"] = ["sh", "-c", ASK_INSIDE, str(check["http"]["port"]), check["http"]["path"]]
    reload = declared.get("reload")
    if reload and bool(reload["check"] and reload["says"]) == bool(reload.get("program") and reload.get("takes")):
        raise SpecError(f"{path}.reload: give either check and says, or program and takes")
    return declared


def fingerprint(spec: Mapping[str, object]) -> str:
    """Hash what the container is (16 hex digits), without how it relates to others."""
    body = {key: value for key, value in spec.items() if key not in RELATIONS}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Name every place where two specs differ, as ``environment.KAFKA_BROKERS: 'a' -> 'b'``.

    Texts of several lines are named, not printed: the diff shows them.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        before, after = cast("dict[str, Any]", old), cast("dict[str, Any]", new)
        return [
            reason
            for key in dict.fromkeys([*before, *after])
            if path or key not in RELATIONS
            for reason in differences(before.get(key), after.get(key), f"{path}.{key}" if path else key)
        ]
    if old == new or (path.startswith("fingerprints.") and None in (old, new)):
        return []  # a secret that comes or goes is told by where it stands
    if path.startswith("fingerprints."):
        return [f"secret {path.partition('.')[2]}: another value"]
    if "\n" in f"{old}{new}":
        return [f"{path}: content"]
    return [f"{path}: {show(old)} -> {show(new)}"]


def reloads(old: Spec, new: Spec) -> bool:
    """Tell whether a running container gets from its old spec to the new one when it reads its files anew."""
    before, after = cast("dict[str, Any]", old), cast("dict[str, Any]", new)
    changed = {key for key in {*before, *after} - RELATIONS if before.get(key) != after.get(key)}
    mounted = all(set(before[key]) == set(after[key]) for key in ("config", "secrets") if key in changed)
    reload = new.get("reload")
    if not reload or not changed <= RELOADED or not mounted:
        return False
    return not reload.get("program") or untaken(old, reload) == untaken(new, reload)


def untaken(spec: Spec, reload: Reload) -> list[Any]:
    """Return the files of a container that its program cannot make count while it runs."""
    takes = reload.get("takes", [])
    config = {target: files for target, files in spec["config"].items() if target not in takes}
    secrets = {target: files for target, files in spec["secrets"].items() if target not in takes}
    names = {one["secret"] for files in secrets.values() for one in files.values()}
    return [config, secrets, {name: spec.get("fingerprints", {}).get(name) for name in names}]


def show(value: Any) -> str:
    """Print a value in a reason, shortened."""
    if value is None:
        return "absent"
    shown = value if isinstance(value, str) else json.dumps(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
