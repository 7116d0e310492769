"""The values that a variable accepts beyond its type, as one table."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class Rule:
    """What argument_specs cannot say about a variable: which values of its type are accepted."""

    accepted: str
    holds: Callable[[Any], bool]


def between(lowest: int, highest: int, unit: str = "") -> Rule:
    """Accept integers of this range."""
    return Rule(f"an integer from {lowest} to {highest}{unit}", lambda value: lowest <= value <= highest)


def matching(pattern: str, accepted: str) -> Rule:
    """Accept text that matches as a whole."""
    return Rule(accepted, lambda value: re.fullmatch(pattern, value) is not None)


def _is_address(value: str) -> bool:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True


def _are_networks(values: list[Any]) -> bool:
    return all(isinstance(value, str) and _is_network(value) for value in values)


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        return False
    return True


def _is_environment(value: dict[Any, Any]) -> bool:
    return all(
        isinstance(name, str)
        and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
        and isinstance(text, str)
        and "\0" not in text
        for name, text in value.items()
    )


def _are_secrets(value: dict[Any, Any]) -> bool:
    return all(isinstance(text, str) and SECRET.fullmatch(text) for text in value.values())


def _are_schemas(value: dict[Any, Any]) -> bool:
    return all(
        isinstance(channel, str) and CHANNELS.fullmatch(channel) and isinstance(schema, (dict, bool))
        for channel, schema in value.items()
    )


# As the service itself has it: a name, a prefix or all. The schemas are checked by the service when it starts.
CHANNELS = re.compile(r"[A-Za-z0-9._:/-]{1,200}|[A-Za-z0-9._:/-]{0,199}\.\*|\*")


# Secrets land in files of several programs: nothing that any of them would quote, expand or split.
SECRET = re.compile(r"[A-Za-z0-9_.~+/=@%^:,-]{16,256}")


# First match wins; a pattern is a shell pattern over the variable's name.
RULES: tuple[tuple[str, Rule], ...] = (
    ("app_replicas", between(1, 64)),
    # As the service itself accepts them: else a container would fail what the settings let through.
    ("app_heartbeat_seconds", between(1, 300, " seconds")),
    ("app_retention_seconds", between(60, 86400 * 3650, " seconds")),
    ("app_schemas", Rule("channels (a name, prefix.* or *) and a JSON Schema for each", _are_schemas)),
    ("stack_parallel", between(1, 32)),
    ("stack_name", matching(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?", "1 to 20 of a-z, 0-9 and -, beginning with a letter")),
    (
        "stack_state_directory",
        matching(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._-]+){2,}", "an absolute path of at least two plain names"),
    ),
    (
        "stack_secrets",
        Rule("names and secrets, each secret of 16 to 256 letters, digits and any of _.~+/=@%^:,-", _are_secrets),
    ),
    ("network_name", matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,62}", "2 to 63 of A-Z, a-z, 0-9, _, . and -")),
    ("dashboard_name", matching(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "1 to 63 of a-z, 0-9 and -")),
    ("nginx_worker_connections", between(64, 65536)),
    ("prometheus_retention_days", between(1, 3650, " days")),
    ("docker_log_max_files", between(1, 100, " files")),
    ("docker_log_max_size", matching(r"[1-9][0-9]*[kmg]", "a size such as 10m")),
    ("images_debian_suite", matching(r"[a-z]+", "a Debian code name such as trixie")),
    ("images_debian_mirror", matching(r"(https?://[^\s'\"]+)?", "'' or an http or https address")),
    (
        "images_registry_prefix",
        matching(
            r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*/?)?",
            "'' or a registry such as registry.example.org:5000/mirror",
        ),
    ),
    ("kafka_cluster_id", matching(r"([A-Za-z0-9_-]{22})?", "'' or 22 characters of URL-safe base64")),
    (
        "kafka_external_host",
        matching(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", "a host name or an IPv4 address"),
    ),
    ("exposure_*bind", Rule("an IPv4 address such as 127.0.0.1", _is_address)),
    ("exposure_allow_from", Rule("a list of networks such as 192.0.2.0/24 and 2001:db8::/32", _are_networks)),
    ("exposure_trusted_proxies", Rule("a list of addresses and networks such as 10.0.0.0/8", _are_networks)),
    ("*_port", between(1, 65535)),
    ("*_seconds", between(1, 86400 * 365, " seconds")),
    ("redis_maxmemory", matching(r"[1-9][0-9]*(kb|mb|gb)", "a size such as 128mb")),
    ("*_heap", matching(r"[1-9][0-9]*[kmg]", "a size such as 512m")),
    ("*_memory", matching(r"[1-9][0-9]*[kmg]", "a size such as 256m or 1g")),
    ("*_sha256", matching(r"([0-9a-f]{64})?", "'' or 64 hexadecimal digits in lower case")),
    (
        "*_environment_extra",
        Rule("a dictionary of variable names and text (put numbers and true or false in quotes)", _is_environment),
    ),
)


WHOLE = Rule("an integer from 0", lambda value: value >= 0)


NO_CONTROL = Rule("text without control characters", lambda value: not re.search(r"[\x00-\x1f\x7f]", value))


def rule_of(name: str, kind: str) -> Rule | None:
    """The rule for a variable: the table's, else the one that holds for every variable of its type."""
    for pattern, rule in RULES:
        if fnmatchcase(name, pattern):
            return rule
    return {"int": WHOLE, "str": NO_CONTROL, "path": NO_CONTROL}.get(kind)
