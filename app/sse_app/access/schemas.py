"""The schema of the data of an event: JSON Schema (draft 2020-12) by channel, checked before anything is stored.

Each *.json file of SSE_SCHEMAS_DIR is one object: it maps channel patterns (exact, `prefix.*` or `*`) to schemas. The
most specific pattern decides alone. References stay within the schema and the specification: nothing is fetched. As in
the draft, `format` checks nothing. Imported only where it is used: the library takes 11 MB.

A check may take much longer than its event is large (`uniqueItems` compares each item with every other one), and a body
may bring hundreds. The rate of its publisher pays for as much as honest data of that size takes. What is over that
comes out of a share of the time of this replica that each address has for checks.
"""

import asyncio
import importlib
import json
import math
import signal
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import thread_time
from typing import Any, NoReturn, Protocol

from sse_app.base import channels
from sse_app.base.account import Account, Accounts
from sse_app.base.channels import prefixes_of
from sse_app.base.event import Event
from sse_app.base.json_value import Json, JsonObject, no_duplicates
from sse_app.base.metrics import Metrics
from sse_app.base.problem import Problem
from sse_app.base.settings import ConfigurationError

# CPU seconds for one event. An honest check takes about 0.1 ms. But a pattern of a schema can take for ever over data
# that a publisher chose for that purpose, and meanwhile this replica serves nobody else.
_CHECK_SECONDS = 0.05
_PAID_SECONDS = 0.00025  # of all checks of a body, for each token of the rate: honest data takes less
_WAIT_SECONDS = 3.0  # for a body; after five and one, NGINX would ask the next replica, which has the same work then
_WAITING = 20  # bodies of one address: in that time no more have their turn
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_LONGEST = 300  # characters of a message about a violation: it may quote the data


_jsonschema: Any = importlib.import_module("jsonschema")  # without types
_referencing: Any = importlib.import_module("referencing")
_draft: Any = importlib.import_module("referencing.jsonschema").DRAFT202012
_known: Any = importlib.import_module("jsonschema_specifications").REGISTRY  # the schemas of the specification


class _Violation(Protocol):
    message: str
    absolute_path: Iterable[str | int]


class _Validator(Protocol):
    def iter_errors(self, instance: Json) -> Iterator[_Violation]: ...


class Schemas:
    """Validators by pattern."""

    def __init__(self, directory: str, part: float = 0, metrics: Metrics | None = None) -> None:
        """Read every file; ConfigurationError names what is wrong in one.

        :param part: of the time of this replica that the checks of one address may take; 0: all of it
        """
        self._part = part
        self._accounts = Accounts(part)
        self._metrics = metrics
        self._exact: dict[str, _Validator] = {}
        self._prefixes: dict[str, _Validator] = {}
        if not Path(directory).is_dir():
            raise ConfigurationError(f"SSE_SCHEMAS_DIR={directory!r}: expected a directory")
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGVTALRM, _expired)
        for path in sorted(Path(directory).glob("*.json")):
            for pattern, schema in _read(path).items():
                self._add(f"SSE_SCHEMAS_DIR: {path.name}: {pattern[:200]!r}", pattern, schema)

    async def check(self, events: Sequence[Event], address: str = "", tokens: int = 0) -> None:
        """Raise a Problem that points to the first place where an event does not match the schema of its channel.

        :param tokens: what the rate of the publisher pays for the body; see access/limits.py
        """
        account = self._accounts.of(address) if self._part else None
        until = asyncio.get_running_loop().time() + _WAIT_SECONDS
        paid = _PAID_SECONDS * max(tokens, len(events))
        for index, event in enumerate(events):
            validator = self._validator(event.channel)
            if validator is None:
                continue
            if account is not None and account.wait > 0:
                await self._turn(account, until)
            begun = thread_time()
            violation = _violation(validator, event.data)
            paid -= thread_time() - begun
            if account is not None and paid < 0:
                account.charge(-paid)
                paid = 0.0
            if violation is not None:
                pointer, detail = violation
                error = {"field": f"{index}.data", "pointer": pointer, "detail": detail}
                raise Problem(422, f"event {index}, {pointer}: {detail}", errors=[error])
            await asyncio.sleep(0)  # between two checks others get their turn

    async def _turn(self, account: Account, until: float) -> None:
        """Wait until an address may take more time; Problem 429 where that takes too long."""
        if account.waiting >= _WAITING:
            raise self._spent(account)
        account.waiting += 1
        try:
            async with asyncio.timeout_at(until):
                await account.pace()
        except TimeoutError:
            raise self._spent(account) from None
        finally:
            account.waiting -= 1

    def _spent(self, account: Account) -> Problem:
        if self._metrics is not None:
            self._metrics.limited["time"] += 1
        seconds = math.ceil(max(account.wait, 1.0))
        detail = "the schemas of what this address publishes take more than its share of this replica's time to check"
        again = f"nothing was stored; try again in {seconds} s, with fewer events at once"
        return Problem(429, f"{detail}: {again}", {"retry-after": str(seconds)})

    def _validator(self, channel: str) -> _Validator | None:
        if channel in self._exact or not self._prefixes:
            return self._exact.get(channel)
        found = [self._prefixes[prefix] for prefix in prefixes_of(channel) if prefix in self._prefixes]
        return found[-1] if found else None  # the longest

    def _add(self, where: str, pattern: str, schema: Json) -> None:
        try:
            wanted = channels.parse([pattern])
            validator = _build(schema)
        except ValueError as error:
            raise ConfigurationError(f"{where}: {_line(str(error))}") from error
        index, [key] = (self._exact, wanted.exact) if wanted.exact else (self._prefixes, wanted.prefixes)
        if key in index:
            raise ConfigurationError(f"{where}: another file has a schema for the same pattern")
        index[key] = validator


def _read(path: Path) -> JsonObject:
    try:
        document: Json = json.loads(path.read_text(), object_pairs_hook=no_duplicates)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"SSE_SCHEMAS_DIR: {path.name}: {_line(str(error))}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"SSE_SCHEMAS_DIR: {path.name}: expected an object of channel patterns and schemas")
    return document


def _build(schema: Json) -> _Validator:
    """A validator; ValueError says what is wrong with the schema."""
    kind = _jsonschema.Draft202012Validator
    try:
        kind.check_schema(schema)
        if isinstance(schema, dict) and schema.get("$schema", _DRAFT) != _DRAFT:
            raise ValueError(f"$schema: expected {_DRAFT}")
        _follow(_known.resolver_with_root(_draft.create_resource(schema)), schema, set())
        validator = kind(schema, registry=_known)
        validator.is_valid(None)  # any data shows a schema that refers to itself without end
    except _jsonschema.SchemaError as error:
        raise ValueError(f"{_pointer(error.absolute_path) or 'the schema'}: {error.message}") from error
    except _referencing.exceptions.Unresolvable as error:
        raise ValueError(f"{error.ref!r} is not in this schema, and nothing is fetched") from error
    except RecursionError as error:
        raise ValueError("the schema refers to itself without end") from error
    return validator


def _follow(resolver: Any, schema: Any, seen: set[int]) -> None:
    """Resolve every reference now, so that none fails when an event comes."""
    if isinstance(schema, bool) or id(schema) in seen:
        return
    seen.add(id(schema))
    for keyword in ("$ref", "$dynamicRef"):
        if keyword in schema:
            found = resolver.lookup(schema[keyword])
            _follow(found.resolver, found.contents, seen)
    for inner in _draft.subresources_of(schema):
        _follow(resolver.in_subresource(_draft.create_resource(inner)), inner, seen)


def _violation(validator: _Validator, data: Json) -> tuple[str, str] | None:
    """The JSON pointer of the first violation, and what is wrong there; None where there is none."""
    try:
        with _bounded():
            error = next(validator.iter_errors(data), None)
    except RecursionError:
        return "/data", "the data is nested too deeply for its schema"
    except TimeoutError:
        return "/data", f"the check took more than {_CHECK_SECONDS:g} s"
    except ArithmeticError:  # of the library, for a number that no float can hold
        return "/data", "a number is too large for its schema"
    return None if error is None else (_pointer(["data", *error.absolute_path]), _line(error.message))


@contextmanager
def _bounded() -> Generator[None]:
    """Raise TimeoutError after _CHECK_SECONDS of CPU time: Python's re runs signal handlers while it matches."""
    if threading.current_thread() is not threading.main_thread():  # handlers run only there; the service does too
        yield
        return
    signal.setitimer(signal.ITIMER_VIRTUAL, _CHECK_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _expired(*_: object) -> NoReturn:
    raise TimeoutError


def _pointer(path: Iterable[str | int]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)[:_LONGEST]


def _line(text: str) -> str:
    return " ".join(text[:_LONGEST].split())
