"""Read published ports, in the short syntax and in the long one, with ranges."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4
from ansible_collections.sse.platform.plugins.module_utils.views.project import Port
from compose_files.nodes import Node

RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
# The address may be of IPv6, in brackets or not; a variable that nothing sets has the form ${NAME}.
SHORT = re.compile(
    r"(?:(?P<address>\[[^\]]*\]|.*?):)??(?:(?P<host>[^:\[\]]*):)?"
    r"(?P<container>[^:/\[\]]+)(?:/(?P<protocol>[^:/]+))?",
    re.DOTALL,
)
PROTOCOLS = ("tcp", "udp", "sctp")
FORM = "[[address:]host port:]container port"
MOST = 65535
LONGEST = 500  # characters
NAMES = ("address", "host port", "container port", "protocol")


class Written(NamedTuple):
    """A published port as its parts, before they are checked."""

    address: str
    host: str
    container: str
    protocol: str


def read(given: Node, notes: list[str]) -> Iterator[Port]:
    """Yield the port, or the range of ports; what depends on variables that nothing sets is noted instead.

    :raises ProjectError: where this is no port
    """
    parts = written(given)
    protocol = parts.protocol.lower()
    if protocol not in PROTOCOLS and "${" not in protocol:
        raise given.refused(f"one of the protocols {', '.join(PROTOCOLS)}", f"'{parts.protocol}'")
    unknown = given.unknown or inner_unknown(given)
    if unknown:
        open_parts = [name for name, text in zip(NAMES, parts, strict=True) if "${" in text]
        what = " and the ".join(open_parts)
        who = " and ".join(unknown)
        notes.append(
            f"{given.place}{given.path}: the {what} of container port {parts.container} "
            f"{'is' if len(open_parts) == 1 else 'are'} unknown: nothing sets {who}"
        )
    if "${" in parts.container or "${" in parts.address:
        return
    first, last = numbers(given, parts.container)
    host = "" if "${" in parts.host else parts.host
    if host:
        begin, end = numbers(given, host)
        if last != first and end - begin != last - first:
            raise given.refused("as many host ports as container ports", f"{host} for {parts.container}")
    address = parts.address.strip("[]")
    try:
        address = str(ipaddress.ip_address(address)) if address else IPV4.wildcard
    except ValueError:
        raise given.refused(f"{FORM}, with an IP address", f"'{address}'") from None
    yield Port(address, first, last, host, protocol)


def inner_unknown(given: Node) -> tuple[str, ...]:
    """Return the variables of the long syntax that nothing sets."""
    if not isinstance(given.value, dict):
        return ()
    asked = (given.value[key] for key in ("host_ip", "published", "target", "protocol") if key in given.value)
    return tuple(dict.fromkeys(name for one in asked for name in one.unknown))


def written(given: Node) -> Written:
    """Return the parts of a published port."""
    if isinstance(given.value, dict):
        texts = [str(given[key]) for key in ("host_ip", "published", "target")]
        if not texts[2]:
            raise given.refused("the key 'target'", "none")
        return Written(texts[0], texts[1], texts[2], str(given["protocol"]) or "tcp")
    match = SHORT.fullmatch(str(given)) if len(str(given)) <= LONGEST else None
    if match is None or isinstance(given.value, (bool, list)):
        raise given.refused(FORM, repr(str(given)) if not isinstance(given.value, list) else "")
    return Written(match["address"] or "", match["host"] or "", match["container"], match["protocol"] or "tcp")


def numbers(given: Node, text: str) -> tuple[int, int]:
    """Return the first and the last port of a range; both are the same where it is one port."""
    match = RANGE.fullmatch(text)
    if match is None:
        raise given.refused(FORM, repr(str(given)) if not isinstance(given.value, dict) else repr(text))
    first, last = int(match[1]), int(match[2] or match[1])
    if not first <= last <= MOST:
        raise given.refused(f"ports from 0 to {MOST}, the first one first", f"'{text}'")
    return first, last
