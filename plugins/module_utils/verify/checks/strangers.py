# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A server refuses a client that does not say who it is, at each of its published ports."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, each

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

ANSWER_SECONDS = 5.0
SHOWN = 40  # bytes of an answer


class Parameters(TypedDict):
    """What a stranger sends, as hexadecimal digits, and how the answer to him begins; empty: he gets none."""

    sends: str
    answer: str


def check(running: Running, subject: Subject, asked: Parameters) -> Checked:
    """Ask at each published port of a container."""
    findings: list[Finding] = []
    refused = 0
    for one in running.published(subject.spec["container"]):
        told = ask(one, bytes.fromhex(asked["sends"]), asked["answer"].encode())
        refused += told == ""
        if told:
            place = f"{one.host}:{one.port}"
            mend = ("# Is a setting of its own in the way, such as <service>_config_extra?", f"./sse logs {one.name}")
            findings.append(
                Finding("strangers", one.name, f"does not refuse a client without a user at {place}", told, mend)
            )
    return Checked(findings, refused)


def ask(endpoint: Endpoint, sends: bytes, answer: bytes) -> str | None:
    """Return what a server said to a stranger; empty where it refused him, None where no connection came about."""
    try:
        connection = socket.create_connection((endpoint.host, endpoint.port), timeout=ANSWER_SECONDS)
    except OSError:  # the check of published ports names it, with its cause
        return None
    try:
        with connection:
            connection.sendall(sends)
            found = connection.recv(SHOWN)
    except ConnectionResetError:
        found = b""
    except OSError as error:
        return str(error)
    refused = found.startswith(answer) if answer else not found
    return "" if refused else f"it answered {found!r}"


def digits(value: Any, path: str) -> str:
    """Accept hexadecimal digits of whole bytes."""
    return spec.matching("([0-9a-f]{2})+", "hexadecimal digits of whole bytes")(value, path)


PARAMETERS = spec.record({"sends": (digits, ...), "answer": (spec.text, "")})
KIND = Kind("strangers", "ports that refuse strangers", each(check), PARAMETERS)
