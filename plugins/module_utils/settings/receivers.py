# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Who is told of alerts: which forms ``alerts_to`` may have, and which parts of it are secrets.

Pure. No sentence repeats a value, because nearly each of them opens something: who knows the address of a webhook can
send to it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from ansible_collections.sse.platform.plugins.module_utils.model.spec import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NAME = "alerts_to"
ALLOW_HTTP = "alerts_allow_http"
# By receiver, what may be written there. A plain text stands for the first key.
FORMS = {
    "webhook": "https://alerts.example.org/hook, or {url, token}",
    "email": "{to, from, server: 'smtp.example.org:587'}, and username, password, tls: false where needed",
    "slack": "https://hooks.slack.com/services/..., or {url, channel}",
    "ntfy": "https://ntfy.sh/topic, or {url, token}",
    "watchdog": "https://hc-ping.com/..., which is asked every minute",
}
EXPECTED = "one or more of " + "; ".join(f"{kind}: {form}" for kind, form in FORMS.items()) + "; or {} for nobody"
# Values that only files with mode 0600 hold: by receiver and key, the name of the secret.
SECRETS = {
    (kind, key): f"alerts_{kind}_{key}"
    for kind, keys in {
        "webhook": ("url", "token"),
        "email": ("password",),
        "slack": ("url",),
        "ntfy": ("url", "token"),
        "watchdog": ("url",),
    }.items()
    for key in keys
}
PORTS = {"http": 80, "https": 443}
ADDRESS = re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+")
SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
PRINTABLE = re.compile(r"[^\x00-\x20\x7f]+")
ITSELF = f"leads to the container of Alertmanager itself; this host is {HOST} there"


class Split(NamedTuple):
    """The receivers without their secrets, for releases and logs; and the secrets by name."""

    shown: dict[str, dict[str, Any]]
    secrets: dict[str, str]


def problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with each receiver, and what was expected, one sentence each."""
    for kind, value in cast("dict[Any, Any]", settings.get(NAME) or {}).items():
        if kind not in FORMS:
            # An address that stands where a name belongs can hold a secret.
            said = f"the key {kind!r}" if re.fullmatch("[A-Za-z_]{1,40}", str(kind)) else "a key that is no name"
            yield f"{NAME} has {said}, which is no receiver; expected {EXPECTED}"
        elif wrong := _wrong(kind, value):
            yield f"{NAME}.{kind} {wrong}; expected {FORMS[kind]}"
        elif _in_the_clear(value) and not settings.get(ALLOW_HTTP):
            yield (
                f"{NAME}.{kind} has an address with http://, so that everybody on the way could read what opens it; "
                f"expected https://, or {ALLOW_HTTP} true"
            )


def split(value: Mapping[str, Any]) -> Split:
    """Take the secrets out of receivers that have no problems."""
    shown: dict[str, dict[str, Any]] = {}
    secrets: dict[str, str] = {}
    for kind, written in value.items():
        given = _whole(written)
        secrets |= {SECRETS[kind, key]: str(one) for key, one in given.items() if (kind, key) in SECRETS}
        shown[kind] = {
            **{key: one for key, one in given.items() if (kind, key) not in SECRETS},
            "secrets": sorted(key for key in given if (kind, key) in SECRETS),
            "host_port": _port_of_host(given),
            "joint": "&" if "?" in str(given.get("url", "")) else "?",
        }
        if kind == "email":
            to = given["to"]
            shown[kind]["to"] = ", ".join(cast("list[str]", to)) if isinstance(to, list) else to
    return Split(shown, secrets)


def _whole(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"url": value}


def _wrong(kind: str, value: Any) -> str:
    """Say what is wrong with one receiver; empty where nothing is."""
    if not isinstance(value, (str, dict)) or not value:
        return "is neither text nor a dictionary" if value else "is empty"
    if kind == "email" and isinstance(value, str):
        return "is only text, and mail needs a server"
    given, (known, required) = _whole(value), KEYS[kind]
    if unknown := [key for key in given if key not in known]:
        return f"has the unknown key {str(unknown[0])[:40]!r}"
    if missing := [key for key in required if key not in given]:
        return f"has no {missing[0]}"
    for key, one in given.items():
        if wrong := known[key](one):
            return f"has a {key} that {wrong}"
    if kind == "email" and ("username" in given) != ("password" in given):
        return "has only one of username and password"
    if "password" in given and given.get("tls") is False:
        return "has a password and tls: false, so that everybody on the way could read it"
    if kind in ("slack", "ntfy") and not urlsplit(str(given["url"])).path.strip("/"):
        return "has a url that names no topic" if kind == "ntfy" else "has a url without a path"
    return ""


def _in_the_clear(value: Any) -> bool:
    """Tell whether a receiver is asked without TLS over a wire: the host itself is reached over none."""
    parts = urlsplit(str(_whole(value).get("url", "")))
    return parts.scheme == "http" and parts.hostname != HOST


def _url(value: Any) -> str:
    if not isinstance(value, str) or not PRINTABLE.fullmatch(value):
        return "is no address: it is empty, or has a space or a control character in it"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return "is no address"
    if "#" in value:
        return "has a # in it, and what follows it is never sent"
    if parts.scheme not in PORTS:
        return "does not begin with https:// or http://"
    if not parts.hostname or port == 0:
        return "names no host"
    return ITSELF if _itself(parts.hostname) else ""


def _itself(host: str) -> bool:
    """Tell whether a name or an address means whoever asks, which is a container."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.rstrip(".").lower().rpartition(".")[2] == "localhost"
    return address.is_loopback or address.is_unspecified


def _address(value: Any) -> str:
    return "" if isinstance(value, str) and ADDRESS.fullmatch(value) else "is no mail address"


def _addresses(value: Any) -> str:
    each = cast("list[Any]", value) if isinstance(value, list) else str(value).split(",")
    return next((wrong for one in each or [""] if (wrong := _address(str(one).strip()))), "")


def _server(value: Any) -> str:
    found = SERVER.fullmatch(value) if isinstance(value, str) else None
    if not found or not 1 <= int(found[2]) <= 65535:
        return "is not host:port"
    return ITSELF if _itself(found[1].strip("[]")) else ""


def _text(value: Any) -> str:
    return "" if isinstance(value, str) and PRINTABLE.fullmatch(value) else "is empty, or has a space in it"


def _channel(value: Any) -> str:
    return "" if isinstance(value, str) and re.fullmatch(r"[#@]?[^\s#@]{1,80}", value) else "is no channel"


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "is neither true nor false"


# By receiver: what judges each key that it may have, and the keys that it must have.
KEYS: dict[str, tuple[dict[str, Callable[[Any], str]], tuple[str, ...]]] = {
    "webhook": ({"url": _url, "token": _text}, ("url",)),
    "email": (
        {
            "to": _addresses,
            "from": _address,
            "server": _server,
            "username": _text,
            "password": _text,
            "tls": _flag,
        },
        ("to", "from", "server"),
    ),
    "slack": ({"url": _url, "channel": _channel}, ("url",)),
    "ntfy": ({"url": _url, "token": _text}, ("url",)),
    "watchdog": ({"url": _url}, ("url",)),
}


def _port_of_host(given: Mapping[str, Any]) -> int:
    """Return the port of a receiver that runs on the host itself; 0 for every other."""
    if "server" in given:
        host, __, port = str(given["server"]).rpartition(":")
        return int(port) if host == HOST else 0
    parts = urlsplit(str(given["url"]))
    return (parts.port or PORTS[parts.scheme]) if parts.hostname == HOST else 0
