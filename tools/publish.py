#!/usr/bin/env python3
"""Publish an event: CHANNEL DATA [--event NAME] [--key KEY]. It may be repeated with its key, and is stored once."""

from __future__ import annotations

import argparse
import json
import math
import sys
import uuid
from typing import Any, NoReturn

import api_client
from sse_client import OutcomeUnknownError, SseError

SECONDS = 30.0


class TwiceError(ValueError):
    """An object of JSON has a name twice."""


def main() -> int:
    """Publish, and print the id."""
    parser = api_client.parser()
    parser.add_argument("channel", metavar="CHANNEL", help="such as news or orders.eu")
    parser.add_argument(
        "data", metavar="DATA", help="JSON, such as '{\"n\": 1}', or else a text; - reads it from the standard input"
    )
    parser.add_argument("--event", help="the name of the event (default: message)")
    parser.add_argument("--key", help="the idempotency key: with the same one, the event is stored once")
    parser.add_argument("--text", action="store_true", help="send DATA as a text, also where it is JSON")
    parser.add_argument(
        "--timeout", type=api_client.seconds, default=SECONDS, metavar="SECONDS", help="how long to try (default: 30)"
    )
    options = parser.parse_args()
    api_client.require_channels([options.channel], patterns=False)
    key = str(uuid.uuid4()) if options.key is None else options.key
    data = given(options)
    try:
        with api_client.client(options) as client:
            id_ = client.publish(options.channel, data, event=options.event, key=key, seconds=options.timeout)
    except OutcomeUnknownError as error:
        again = "Run the same command again with this key: the event is stored once."
        raise SystemExit(
            f"sse: the event may be stored or not: no answer came in time. --key {error.key}\n{again}"
        ) from None
    except SseError as error:
        raise SystemExit(api_client.said(error)) from None
    except ValueError as error:
        raise SystemExit(f"sse: {error}. Nothing was published.") from None
    shown = {"id": id_, "channel": options.channel, "key": key}
    api_client.write(api_client.as_json(shown) if options.json else f"published to {options.channel}: {id_}")
    return 0


def given(options: argparse.Namespace) -> Any:
    """Return the data: what JSON says where it is JSON, else the text."""
    text = options.data
    if text == "-":
        try:
            text = sys.stdin.buffer.read().decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise SystemExit("sse: the standard input is not UTF-8. Nothing was published.") from None
    if options.text:
        return text
    try:
        return json.loads(text, parse_constant=refuse, parse_float=finite, object_pairs_hook=without_doubles)
    except TwiceError as error:
        raise SystemExit(f"sse: {error}. --text sends DATA as it is. Nothing was published.") from None
    except (ValueError, RecursionError):
        return text


def refuse(name: str) -> NoReturn:
    """Take no NaN and no Infinity, which Python's reader would take for numbers."""
    raise ValueError(name)


def finite(text: str) -> float:
    """Take no number that is too large for one."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that has a name twice: each reader would take another one of them."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise TwiceError(f"DATA has the name {twice!r} twice in one object")
    return found


if __name__ == "__main__":
    sys.exit(main())
