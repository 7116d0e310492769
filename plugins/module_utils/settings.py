"""Public variables: strict conversion by argument_specs, ranges, misspelt names, and rules between variables.

Pure: nothing here reads a host. Every problem is one sentence that names the variable, its value (never a secret's)
and what is accepted.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, cast

from ansible_collections.sse.platform.plugins.module_utils import addresses, family, layout

TRUE = ("true", "yes", "on", "1")
FALSE = ("false", "no", "off", "0")
SHOWN_LENGTH = 80
NEAR = 2  # edits between a misspelt name and a real one


class RefusedError(Exception):
    """A value is not accepted; the text says what is."""


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


def plain(value: Any) -> Any:
    """The same value in Python's own types, without what Ansible ties to it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in cast("Iterable[Any]", value)]
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value


def show(value: Any, option: Mapping[str, Any]) -> str:
    """The value for a message: short, and never a secret."""
    if option.get("no_log"):
        return "a secret (not shown)"
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}... ({len(text)} characters)"


def _to_int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value.strip()):
        return int(value)
    raise RefusedError


def _to_float(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", value.strip()):
        return float(value)
    raise RefusedError


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise RefusedError


def _to_str(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise RefusedError


def _to_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return cast("list[Any]", value)
    if isinstance(value, str):
        return _from_json(value, list) if value.lstrip().startswith("[") else [p.strip() for p in value.split(",") if p]
    raise RefusedError


def _to_dict(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    if isinstance(value, str):
        return _from_json(value, dict)
    raise RefusedError


def _from_json(text: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        raise RefusedError from None
    if not isinstance(value, kind):
        raise RefusedError
    return value


TYPES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "int": ("an integer", _to_int),
    "float": ("a number", _to_float),
    "bool": ("true or false", _to_bool),
    "str": ("text (put a number, true, false or null in quotes)", _to_str),
    "path": ("a path", _to_str),
    "list": ("a list", _to_list),
    "dict": ("a dictionary", _to_dict),
    "raw": ("any value", lambda value: value),
}


def accepted(name: str, option: Mapping[str, Any]) -> str:
    """What a variable accepts, in words."""
    if option.get("choices"):
        return "one of " + ", ".join(str(choice) for choice in option["choices"])
    kind = option.get("type", "str")
    rule = rule_of(name, kind)
    return rule.accepted if rule else TYPES[kind][0]


def convert(name: str, value: Any, option: Mapping[str, Any]) -> Any:
    """Return the value in the type of its argument_specs; RefusedError says what is accepted instead."""
    if value is None:
        msg = f"{accepted(name, option)} (leave the variable out for its default)"
        raise RefusedError(msg)
    kind = option.get("type", "str")
    try:
        converted = TYPES[kind][1](value)
        if kind == "list" and option.get("elements"):
            converted = [TYPES[option["elements"]][1](item) for item in converted]
    except RefusedError:
        if accepted(name, option) == TYPES[kind][0] or option.get("choices"):
            raise RefusedError(accepted(name, option)) from None
        msg = f"{TYPES[kind][0]}: {accepted(name, option)}" if kind in ("str", "list") else accepted(name, option)
        raise RefusedError(msg) from None
    rule = rule_of(name, kind)
    if option.get("choices") and converted not in option["choices"]:
        raise RefusedError(accepted(name, option))
    if rule and not rule.holds(converted):
        raise RefusedError(rule.accepted)
    return converted


def problem(name: str, value: Any, option: Mapping[str, Any], reason: RefusedError) -> str:
    """The sentence for a refused value."""
    return f"{name} is {show(value, option)}: accepted is {reason}"


def edits(left: str, right: str, limit: int = NEAR) -> int:
    """Levenshtein's distance, or limit + 1 once it is known to be larger."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    row = list(range(len(right) + 1))
    for index, char in enumerate(left, 1):
        previous, row = row, [index]
        for column, other in enumerate(right, 1):
            row.append(min(row[-1] + 1, previous[column] + 1, previous[column - 1] + (char != other)))
        if min(row) > limit:
            return limit + 1
    return row[-1]


def unknown_names(
    names: Iterable[str], known: Iterable[str], prefixes: Iterable[str], ignored: Iterable[str] = ()
) -> tuple[list[str], list[str]]:
    """Split names that no role has into problems (a real name is near) and warnings (only the prefix is ours)."""
    real = sorted(known)
    starts = tuple(f"{prefix}_" for prefix in prefixes)
    problems: list[str] = []
    strangers: list[str] = []
    for name in sorted(set(names) - set(real)):
        if any(fnmatchcase(name, pattern) for pattern in ignored):
            continue
        distance, near = min((edits(name, other), other) for other in real)
        if distance <= NEAR:
            problems.append(f"{name} is not a variable of this collection: did you mean {near}?")
        elif name.startswith(starts):
            strangers.append(name)
    if not strangers:
        return problems, []
    return problems, [f"not variables of this collection, so they change nothing here: {', '.join(strangers)}"]


def derived(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings whose empty value stands for one computed from others."""
    try:
        subnet = addresses.parse_subnet(settings["network_subnet"])
    except (KeyError, ValueError):
        return {}
    return {
        "network_gateway": settings.get("network_gateway") or addresses.first_address(subnet),
        "network_ip_range": settings.get("network_ip_range") or addresses.upper_half(subnet),
        "network_segment_subnets": layout.subnets(settings),
    } | (
        {"network_ipv6_subnet": settings["network_ipv6_subnet"] or addresses.own_subnet6(settings["stack_name"])}
        if {"network_ipv6_subnet", "stack_name"} <= set(settings)
        else {}
    )


def cross_problems(settings: Mapping[str, Any], exists: Callable[[str], bool]) -> list[str]:
    """Rules between variables that need no host. A variable that is refused already is missing from `settings`.

    `exists` tells whether a path can be read on the controller.
    """
    return [
        *_address_problems(settings),
        *_port_problems(settings),
        *_file_problems(settings, exists),
        *_auth_problems(settings),
        *_exposure_problems(settings),
    ]


def _address_problems(settings: Mapping[str, Any]) -> list[str]:
    if "network_subnet" not in settings:
        return []
    found = addresses.problems(
        settings["network_subnet"],
        settings.get("network_gateway", ""),
        settings.get("network_ip_range", ""),
        settings.get("app_replicas", 1),
    )
    return found or list(layout.problems(settings))


# Where somebody else listens: on a port of the host that a container connects to.
OTHERS_PORTS = frozenset({"dashboard_api_port"})


def _port_problems(settings: Mapping[str, Any]) -> list[str]:
    owners: dict[int, list[str]] = {}
    for name in sorted(settings):
        if name.endswith("_port") and name not in OTHERS_PORTS and isinstance(settings[name], int):
            owners.setdefault(settings[name], []).append(name)
    return [
        f"{' and '.join(names)} are both {port}: accepted is a port of its own for each"
        for port, names in sorted(owners.items())
        if len(names) > 1
    ]


FILES = (
    "images_archive",
    "images_registry_ca",
    "images_registry_password_file",
    "grafana_archive",
    "nginx_certificate",
    "nginx_certificate_key",
    "app_keys_file",
    "app_jwks_file",
    "app_jwt_secret_file",
)
PAIRS = (
    ("nginx_certificate", "nginx_certificate_key"),
    ("images_registry_username", "images_registry_password_file"),
    ("grafana_archive", "grafana_archive_sha256"),
)


def _file_problems(settings: Mapping[str, Any], exists: Callable[[str], bool]) -> list[str]:
    problems = [
        f"{name} is '{settings[name]}': no such file on the controller; accepted is '' or the path of a readable file"
        for name in FILES
        if settings.get(name) and not exists(settings[name])
    ]
    for pair in PAIRS:
        given = [name for name in pair if settings.get(name)]
        if len(given) == 1 and all(name in settings for name in pair):
            missing = pair[1 - pair.index(given[0])]
            problems.append(f"{missing} is '': {given[0]} is given, so accepted are both or neither")
    if settings.get("images_source") == "archive" and not settings.get("images_archive"):
        problems.append("images_archive is '': images_source is archive, so accepted is the path of a bundle")
    return problems


CREDENTIALS = ("app_keys_file", "app_jwks_file", "app_jwt_secret_file")


def _auth_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    given = [name for name in CREDENTIALS if settings.get(name)]
    if settings.get("app_auth") is True and not given and all(name in settings for name in CREDENTIALS):
        yield f"app_auth is true: {', '.join(CREDENTIALS)} are all '', so nobody could publish; accepted is one or more"
    if settings.get("app_auth") is False and given:
        yield f"app_auth is false: {given[0]} is given, and nobody would be asked for it; accepted is true"


def _exposure_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    unheard = [one for one in settings.get("exposure_allow_from", []) if family.of(one) is family.IPV6]
    if unheard and settings.get("network_ipv6") is False:
        yield (
            f"exposure_allow_from holds {unheard[0]}: network_ipv6 is false, so nothing answers over IPv6; accepted "
            "are IPv4 networks, or network_ipv6 true"
        )
    if settings.get("exposure_profile") != "production":
        return
    if settings.get("exposure_unauthenticated_publishing") is False and settings.get("app_auth") is False:
        yield (
            "exposure_unauthenticated_publishing is false: exposure_profile is production and app_auth is false, so "
            "anybody who reaches the public ports could publish; accepted is app_auth true, true here (with a proxy "
            "in front that authenticates), or exposure_profile development"
        )
    bind = settings.get("exposure_admin_bind", "127.0.0.1")
    if not ipaddress.IPv4Address(bind).is_loopback:
        yield (
            f"exposure_admin_bind is '{bind}': exposure_profile is production, and not every admin port asks for a "
            "password; accepted is 127.0.0.1 (reach them through an SSH tunnel)"
        )
