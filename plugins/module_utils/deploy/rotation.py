# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Give a secret a new value while everything runs: the new one works afterwards, and the old one does not."""

from __future__ import annotations

import contextlib
import difflib
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy import rollout
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store, keep, make_password
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.secret import PAIR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, Secret

ALL = "all"  # no secret can have this name (model/secret.py)


def declared(releases: Sequence[Release]) -> dict[str, Secret]:
    """Return all secrets of a stack, by name."""
    return {name: one for release in releases for name, one in release.get("secrets", {}).items()}


def refusal(name: str, one: Secret, given: Mapping[str, str]) -> str:
    """Say why a secret can't be rotated here, and what to do instead; empty where it can."""
    if one.get("kept"):
        return f"{name} keeps its value for ever: {one.get('kept')}."
    if one["kind"] == "uuid-base64":
        return f"{name} is an identity, not a secret: it keeps its value for ever."
    if one["kind"] == "given" or given.get(name):
        return (
            f"{name} is given by you, in a file that a setting names or in stack_secrets, so this host can't make a "
            "new value. Give it there and run `./sse up`, which hands it to what runs. A file that holds one secret a "
            "line can hold the new one first and the old one below it, until nothing uses the old one any more."
        )
    return ""


def chosen(releases: Sequence[Release], name: str, given: Mapping[str, str]) -> Secret:
    """Return the secret of this name.

    :raises ApplyError: there is none, or it can't be rotated; nothing was changed
    """
    known = declared(releases)
    able = sorted(one for one, secret in known.items() if not refusal(one, secret, given))
    if name not in known:
        near = difflib.get_close_matches(name, sorted(known), n=1)
        ask = f" Did you mean {near[0]!r}?" if near else ""
        raise ApplyError(f"There is no secret {name!r}.{ask} These can be rotated: {', '.join(able)}. Nothing changed.")
    if why := refusal(name, known[name], given):
        raise ApplyError(f"{why} These can be rotated: {', '.join(able)}. Nothing changed.")
    return known[name]


def asked(
    releases: Sequence[Release], name: str, given: Mapping[str, str], directory: str, *, keep_old: bool = False
) -> list[str]:
    """Return the names of the secrets to rotate: this one, or all that can be and have a value on this host.

    :raises ApplyError: there is no such secret, or it can't be rotated; nothing was changed
    """
    known = declared(releases)
    store = Store(directory, dict(given), known)
    if name != ALL:
        one = chosen(releases, name, given)
        if store.value(name, make=False) is None:
            raise ApplyError(f"{name} has no value yet, because nothing has needed it. Nothing changed.")
        if keep_old and not one.get("overlap"):
            raise ApplyError(f"{name}: --keep-old is for secrets of which two can be valid at once. Nothing changed.")
        return [name]
    able = [one for one, secret in known.items() if not refusal(one, secret, given)]
    # A certificate and its key are rotated together.
    return sorted(one for one in able if known[one]["kind"] != PAIR[1] and store.value(one, make=False) is not None)


def rotate_each(request: rollout.Request, names: Sequence[str], *, keep_old: bool) -> Iterator[tuple[str, str, str]]:
    """Rotate one secret after the other; yield the name of each, its old value, and what was done.

    :raises ApplyError: one could not be rotated; those before it have new values
    """
    known = declared(request.releases)
    for done, name in enumerate(names):
        begun, overlap = time.monotonic(), keep_old and (len(names) == 1 or bool(known[name].get("overlap")))
        try:
            report, old = rotate(request, name, keep_old=overlap)
        except ApplyError as error:
            before = f"\nThese have new values, which work: {', '.join(names[:done])}." if done else ""
            raise ApplyError(f"{error}{before}") from error
        yield name, "" if overlap else old, "\n".join(lines(report, name, time.monotonic() - begun))


def plain(stored: Mapping[str, Any]) -> Release:
    """Return a release of the store without its number and its history."""
    return cast("Release", {key: value for key, value in stored.items() if key not in {"number", "meta"}})


def values(store: Store, name: str, one: Secret, *, keep_old: bool) -> Iterator[None]:
    """Write the new value; where its readers accept several, write both first, and then the new one alone.

    After each step what runs has to take it.
    """
    if one["kind"] in PAIR:
        store.make_certificate(*store.certificate(name, one))
        yield
        return
    path, new = store.directory / name, make_password(one["bytes"])
    if one.get("overlap"):
        keep(path, f"{new}\n{path.read_text().split()[0]}")
        yield
        if keep_old:
            return
    keep(path, new)
    yield


def rotate(request: rollout.Request, name: str, *, keep_old: bool) -> tuple[rollout.Report, str]:
    """Give a secret a new value, and have everything that runs take it; return what was done, and the old value.

    :param request: with the releases that run
    :raises ApplyError: it could not be done; the old value is back
    """
    one = chosen(request.releases, name, request.secrets)
    store = Store(request.state_directory, request.secrets, declared(request.releases))
    before = kept(store, [name])
    report = rollout.Report()
    try:
        for __ in values(store, name, one, keep_old=keep_old):
            rollout.run(request, report)
            report.record()
    except Exception as error:
        report.record(str(error))
        put_back(store, before)
        with contextlib.suppress(ApplyError, EngineError):
            rollout.run(replace(request, meta={**request.meta, "why": f"{name} could not be rotated"}), report)
            report.record()
        if isinstance(error, (ApplyError, EngineError)):
            raise ApplyError(f"{error}\n{name} has its earlier value again.") from error
        raise
    return report, before[name]


def kept(store: Store, names: Sequence[str]) -> dict[str, str]:
    """Return the values that these secrets have, with those that belong to them."""
    pairs = [each for name in names for each in (name, store.declared[name]["pair"]) if each]
    return {each: store.value(each, make=False) or "" for each in pairs}


def put_back(store: Store, before: Mapping[str, str]) -> None:
    """Give secrets the values that they had."""
    for name, value in before.items():
        keep(store.directory / name, value)


def begin(store: Store, names: Sequence[str], *, keep_old: bool) -> list[str]:
    """Write new values for several hosts; return the secrets of which the old value still counts beside the new one.

    Those are narrowed when every host has both. Where this is killed, whoever hands out the values goes on from here.
    """
    both: list[str] = []
    for name in names:
        one = store.declared[name]
        next(values(store, name, one, keep_old=True))
        if one.get("overlap") and not keep_old:
            both.append(name)
    return both


def takers(releases: Sequence[Release], names: Sequence[str]) -> list[str]:
    """Return the containers that a program tells of these secrets while they run: others come in by them there."""
    found: list[str] = []
    for release in releases:
        for name, one in release["containers"].items():
            reload = one.get("reload") or {}
            files = [file for target in reload.get("takes", []) for file in one["secrets"].get(target, {}).values()]
            if reload.get("program") and any(file["secret"] in names for file in files):
                found.append(name)
    return found


def narrow(store: Store, names: Sequence[str]) -> None:
    """Let the new value alone count of secrets whose readers have taken it beside the old one."""
    for name in names:
        path = store.directory / name
        keep(path, path.read_text().split()[0])


def lines(report: rollout.Report, name: str, seconds: float) -> list[str]:
    """Say what was done."""
    done = [f"  {one}" for outcome in report.outcomes for one in outcome.told]
    changed = [
        f"  {action.container}: {action.kind}"
        for outcome in report.outcomes
        for action in outcome.actions
        if action.changes
    ]
    return [f"{name} has a new value ({seconds:.1f} s).", *dict.fromkeys(changed), *dict.fromkeys(done)]
