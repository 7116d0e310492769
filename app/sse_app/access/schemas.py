"""What the data of an event must look like: JSON Schema (draft 2020-12) by channel, checked before anything is stored.

Each *.json file of SSE_SCHEMAS_DIR is one object: channel patterns (exact, `prefix.*` or `*`) and the schema of each.
The most specific pattern decides alone. References stay within the schema and the specification: nothing is fetched.
`format` is an annotation, as the draft has it. Imported only where it is used: the library takes 11 MB.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import signal
import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from sse_app.base import channels
from sse_app.base.channels import prefixes_of
from sse_app.base.event import Event
from sse_app.base.problem import Problem
from sse_app.base.settings import ConfigurationError
from sse_app.http.body import no_duplicates

# CPU seconds for one event. A pattern of the schema can take for ever over data that a publisher chose to that end, and
# while it is matched nobody else is served; an honest check takes some 0.1 ms.
_CHECK_SECONDS = 0.05
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_LONGEST = 300  # characters of what is said about a violation: it may quote the data


_jsonschema: Any = importlib.import_module("jsonschema")  # untyped
_referencing: Any = importlib.import_module("referencing")
_draft: Any = importlib.import_module("referencing.jsonschema").DRAFT202012
_known: Any = importlib.import_module("jsonschema_specifications").REGISTRY  # the specification's own schemas


class Schemas:
    """Validators by pattern."""

    def __init__(self, directory: str) -> None:
        self._exact: dict[str, Any] = {}
        self._prefixes: dict[str, Any] = {}
        if not Path(directory).is_dir():
            raise ConfigurationError(f"SSE_SCHEMAS_DIR={directory!r}: not a directory")
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGVTALRM, _expired)
        for path in sorted(Path(directory).glob("*.json")):
            for pattern, schema in _read(path).items():
                self._add(f"SSE_SCHEMAS_DIR: {path.name}: {pattern[:200]!r}", pattern, schema)

    async def check(self, events: Sequence[Event]) -> None:
        """Raise a Problem that points to the first place where an event is not as its channel's schema says."""
        for index, event in enumerate(events):
            validator = self._validator(event.channel)
            if validator is not None:
                violation = _violation(validator, event.data)
                if violation is not None:
                    pointer, detail = violation
                    error = {"field": f"{index}.data", "pointer": pointer, "detail": detail}
                    raise Problem(422, f"event {index}, {pointer}: {detail}", errors=[error])
                await asyncio.sleep(0)  # others get their turn between two checks

    def _validator(self, channel: str) -> Any:
        if channel in self._exact or not self._prefixes:
            return self._exact.get(channel)
        found = [self._prefixes[prefix] for prefix in prefixes_of(channel) if prefix in self._prefixes]
        return found[-1] if found else None  # the longest

    def _add(self, where: str, pattern: str, schema: Any) -> None:
        try:
            wanted = channels.parse([pattern])
            validator = _build(schema)
        except ValueError as error:
            raise ConfigurationError(f"{where}: {_line(str(error))}") from error
        index, [key] = (self._exact, wanted.exact) if wanted.exact else (self._prefixes, wanted.prefixes)
        if key in index:
            raise ConfigurationError(f"{where}: another file has a schema for it too")
        index[key] = validator


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(), object_pairs_hook=no_duplicates)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"SSE_SCHEMAS_DIR: {path.name}: {_line(str(error))}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"SSE_SCHEMAS_DIR: {path.name}: expected an object of channel patterns and schemas")
    return document  # pyright: ignore[reportUnknownVariableType] - any JSON


def _build(schema: Any) -> Any:
    """A validator; ValueError says what is wrong with the schema."""
    kind = _jsonschema.Draft202012Validator
    try:
        kind.check_schema(schema)
        if not isinstance(schema, bool) and schema.get("$schema", _DRAFT) != _DRAFT:
            raise ValueError(f"$schema: expected {_DRAFT}")
        _follow(_known.resolver_with_root(_draft.create_resource(schema)), schema, set())
        validator = kind(schema, registry=_known)
        validator.is_valid(None)  # a reference to itself shows with any data
    except _jsonschema.SchemaError as error:
        raise ValueError(f"{_pointer(error.absolute_path) or 'the schema'}: {error.message}") from error
    except _referencing.exceptions.Unresolvable as error:
        raise ValueError(f"{error.ref!r} is not in this schema, and nothing is fetched") from error
    except RecursionError as error:
        raise ValueError("it refers to itself without end") from error
    return validator


def _follow(resolver: Any, schema: Any, seen: set[int]) -> None:
    """Resolve every reference, so that none fails when an event comes."""
    if isinstance(schema, bool) or id(schema) in seen:
        return
    seen.add(id(schema))
    for keyword in ("$ref", "$dynamicRef"):
        if keyword in schema:
            found = resolver.lookup(schema[keyword])
            _follow(found.resolver, found.contents, seen)
    for inner in _draft.subresources_of(schema):
        _follow(resolver.in_subresource(_draft.create_resource(inner)), inner, seen)


def _violation(validator: Any, data: Any) -> tuple[str, str] | None:
    """JSON pointer into the event, and what is wrong there; the first violation only."""
    try:
        with _bounded():
            error = next(validator.iter_errors(data), None)
    except RecursionError:
        return "/data", "nested too deeply for its schema"
    except TimeoutError:
        return "/data", f"the check took more than {_CHECK_SECONDS:g} s"
    return None if error is None else (_pointer(["data", *error.absolute_path]), _line(error.message))


@contextmanager
def _bounded() -> Generator[None]:
    """At most _CHECK_SECONDS of CPU time, then TimeoutError: Python's re runs signal handlers while it matches."""
    if threading.current_thread() is not threading.main_thread():  # there alone handlers run; the service is in it
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
    """RFC 6901."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)[:_LONGEST]


def _line(text: str) -> str:
    return " ".join(text[:_LONGEST].split())
