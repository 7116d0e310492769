"""What a container is: plain data, every key known, checked and normalised in one place.

A declaration is what a role writes ("128m", short names, host numbers); a spec is the same resolved to what the
engine takes (bytes, full names, addresses). Both are dicts that JSON can hold.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.model.segments import SEGMENTS

if TYPE_CHECKING:
    from collections.abc import Callable

Spec = dict[str, Any]

UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}
SHORT_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")  # a DNS label (RFC 1123, section 2.1)
USER = re.compile(r"\d+:\d+\Z")
PEER = re.compile(r"[a-z0-9][a-z0-9.-]*:\d{1,5}\Z")

# What containers call their host, and the engine's word for docker0's address, which is not their own network's gateway
# (https://docs.docker.com/reference/cli/docker/container/run/#add-host).
HOST, GATEWAY = "host.docker.internal", "host-gateway"

# Keys that say how containers relate, not what one of them is: a change of these recreates nothing.
RELATIONS = frozenset({"after", "rolling", "reaches", "listens"})


class SpecError(ValueError):
    """A declaration that is not understood; the message names the place and what is accepted there."""


def refuse(path: str, value: object, accepted: str) -> SpecError:
    """Build the error for a value at ``path``."""
    return SpecError(f"{path}: {value!r} is not accepted; expected {accepted}")


def text(value: Any, path: str) -> str:
    """Accept a non-empty string."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise refuse(path, value, "a non-empty string")
    return str(value)


def flag(value: Any, path: str) -> bool:
    """Accept a boolean."""
    if not isinstance(value, bool):
        raise refuse(path, value, "true or false")
    return value


def count(value: Any, path: str) -> int:
    """Accept a whole number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise refuse(path, value, "a whole number of at least 0")
    return int(value)


def port(value: Any, path: str) -> int:
    """Accept a TCP port."""
    if not 1 <= count(value, path) <= 65535:
        raise refuse(path, value, "a port from 1 to 65535")
    return int(value)


def size(value: Any, path: str) -> int:
    """Accept bytes as a number, or a string with a unit (b, k, m, g; powers of 1024 as Docker counts them)."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+)([bkmg]?)b?", value.strip().lower())
        if match:
            return int(match[1]) * UNITS[match[2]]
        raise refuse(path, value, "a size such as 64m or 1g")
    return count(value, path)


def user(value: Any, path: str) -> str:
    """Accept numeric uid:gid, so that no image's own user table matters."""
    if not USER.match(text(value, path)):
        raise refuse(path, value, "numeric uid:gid such as '10001:10001'")
    return str(value)


def short_name(value: Any, path: str) -> str:
    """Accept a container's short name or alias."""
    if not SHORT_NAME.match(text(value, path)):
        raise refuse(path, value, "a name of a-z, 0-9 and '-', at most 63 characters")
    return str(value)


def peer(value: Any, path: str) -> str:
    """Accept name:port."""
    if not PEER.match(text(value, path)) or not 1 <= int(value.rpartition(":")[2]) <= 65535:
        raise refuse(path, value, "name:port such as 'kafka:9092'")
    return str(value)


def segment(value: Any, path: str) -> str:
    """Accept a segment of the network layout."""
    if value not in SEGMENTS:
        raise refuse(path, value, f"one of {', '.join(SEGMENTS)}")
    return str(value)


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
    """Accept what an environment or sysctl value may be; it becomes a string."""
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


def list_of(item: Callable[[Any, str], Any]) -> Callable[[Any, str], list[Any]]:
    """Accept a list of ``item``."""

    def parse(value: Any, path: str) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise refuse(path, value, "a list")
        return [item(one, f"{path}[{index}]") for index, one in enumerate(cast("list[Any]", value))]

    return parse


def dict_of(key: Callable[[Any, str], str], item: Callable[[Any, str], Any]) -> Callable[[Any, str], dict[str, Any]]:
    """Accept a dictionary from ``key`` to ``item``."""

    def parse(value: Any, path: str) -> dict[str, Any]:
        return {key(name, path): item(one, f"{path}.{name}") for name, one in dictionary(value, path).items()}

    return parse


def record(fields: dict[str, tuple[Callable[[Any, str], Any], Any]]) -> Callable[[Any, str], dict[str, Any]]:
    """Accept a dictionary of just these fields, each ``(parser, default)``; the default ``...`` means required."""

    def parse(value: Any, path: str) -> dict[str, Any]:
        given = dictionary(value, path)
        unknown = sorted(set(given) - set(fields))
        if unknown:
            known = ", ".join(sorted(fields))
            raise SpecError(f"{path}.{unknown[0]}: unknown key; known keys are {known}")
        missing = sorted(name for name, (_, default) in fields.items() if default is ... and name not in given)
        if missing:
            raise SpecError(f"{path}.{missing[0]}: required, and missing")
        return {
            name: parser(given[name], f"{path}.{name}") if given.get(name) is not None else default
            for name, (parser, default) in fields.items()
        }

    return parse


PORT = record({"host_ip": (text, ...), "host_port": (port, ...), "container_port": (port, ...)})
REACH = record({"to": (peer, ...), "why": (text, ...)})
SECRET_FILE = record({"secret": (text, ...), "format": (text, "{}")})
HTTP_PROBE = record({"port": (port, ...), "path": (absolute, "/")})
HEALTHCHECK = record(
    {
        "command": (list_of(text), None),
        "http": (HTTP_PROBE, None),
        "interval": (count, 10),  # seconds; each check is a process of its own, so not below 5 in declarations
        "timeout": (count, 5),  # seconds
        "retries": (count, 3),
        "start": (count, 60),  # seconds until a container that never answered counts as failed
    }
)

DECLARATION: dict[str, tuple[Callable[[Any, str], Any], Any]] = {
    "name": (text, None),
    "image": (text, ...),
    "address": (count, None),
    "segments": (list_of(segment), []),
    "aliases": (list_of(short_name), []),
    "entrypoint": (list_of(text), ...),
    "command": (list_of(scalar), []),
    "user": (user, ...),
    "environment": (dict_of(text, scalar), {}),
    "config": (dict_of(absolute, dict_of(file_name, lambda value, _: str(value))), {}),
    "secrets": (dict_of(absolute, dict_of(file_name, SECRET_FILE)), {}),
    # As secrets, for a service that reads its files anew when they change: a change of these recreates nothing.
    "live_secrets": (dict_of(absolute, dict_of(file_name, SECRET_FILE)), {}),
    "data": (dict_of(absolute, file_name), {}),
    "binds": (dict_of(absolute, absolute), {}),
    "tmpfs": (dict_of(absolute, size), {}),
    "ports": (list_of(PORT), []),
    "memory": (size, 256 * 2**20),
    "pids": (count, 256),
    "open_files": (count, 4096),
    "init": (flag, False),
    "hosts": (list_of(short_name), []),
    "healthcheck": (HEALTHCHECK, ...),
    "stop_signal": (text, "SIGTERM"),
    "stop_timeout": (count, 10),
    "capabilities": (list_of(text), []),
    "read_only": (flag, True),
    "sysctls": (dict_of(text, scalar), {}),
    "group_add": (list_of(scalar), []),
    "after": (list_of(short_name), []),
    "rolling": (flag, False),
    "listens": (list_of(port), []),
    "reaches": (list_of(REACH), []),
    "reaches_host": (list_of(port), []),  # ports of services on the host itself: see hostservice.py
}
PARSE_DECLARATION = record(DECLARATION)


def parse(value: Any, path: str) -> Spec:
    """Check and normalise one declared container.

    :param path: where the declaration stands, for messages, such as ``redis.containers.redis-master``
    :raises SpecError: for an unknown key, a missing one or a value that is not accepted
    """
    declared = PARSE_DECLARATION(value, path)
    check = declared["healthcheck"]
    if (check["command"] is None) == (check["http"] is None):
        raise SpecError(f"{path}.healthcheck: give either command or http")
    return declared


def fingerprint(spec: Spec) -> str:
    """Hash what the container is (16 hex digits), leaving out how it relates to others."""
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
    if old == new:
        return []
    if "\n" in f"{old}{new}":
        return [f"{path}: content"]
    return [f"{path}: {show(old)} -> {show(new)}"]


def show(value: Any) -> str:
    """Print a value in a reason, short."""
    if value is None:
        return "absent"
    shown = json.dumps(value) if not isinstance(value, str) else value
    return shown if len(shown) <= 80 else shown[:77] + "..."
