# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The release store: the numbered releases of a host, one JSON file each, and what one release keeps of the last.

All projects of a stack share their numbers: a new release of any project gets the next number of the stack. So release
N of the stack is, for each project, its newest file with a number of at most N.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.release import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, Spec, StoredRelease

EACH_HAS = ("format", "stack", "project", "number", "containers")  # of every format
KNOWN_ON_THE_HOST = ("image_id", "fingerprints")  # the keys of a spec that a release from the controller lacks


def parse(text: str) -> StoredRelease:
    """Read a stored release. A key that older code did not write gets the value that stands for its absence.

    :raises ValueError: the text is not JSON, or is no release
    :raises TypeError: it is not an object
    """
    found: dict[str, Any] = {"meta": {}, **json.loads(text)}
    if lacking := [key for key in EACH_HAS if key not in found]:
        raise ValueError(f"it has no {', '.join(lacking)}")
    return cast("StoredRelease", found)


def content_hash(release: Release) -> str:
    """Hash a release without its number and its meta."""
    body = {key: value for key, value in release.items() if key not in {"number", "meta"}}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def refuse_other_format(release: StoredRelease) -> None:
    """Raise SpecError for a release that another version of this collection wrote."""
    if release["format"] != FORMAT:
        raise spec.SpecError(
            f"release {release['number']} of {release['project']} has format {release['format']}, and this version "
            f"reads {FORMAT}: run `./sse up` without --tags once"
        )


def limited(release: Release, latest: StoredRelease | None, services: list[str]) -> Release:
    """Take only these services from the new release, and all others as they are in the latest one.

    :param latest: without it the new release is taken whole
    :raises spec.SpecError: for a change that concerns every service
    """
    if not services or latest is None:
        return release
    refuse_other_format(latest)
    if latest["layout"] != release["layout"]:
        raise spec.SpecError("network_layout differs from what runs: run `./sse up` without --tags")
    if has_ipv6(latest) != has_ipv6(release):
        raise spec.SpecError("network_ipv6 differs from what runs: run `./sse up` without --tags")
    if unaware := uninformed(release, latest, services):
        raise spec.SpecError(
            f"{', '.join(services)} would have other containers than before, and {', '.join(unaware)} would not know "
            f"them: run `./sse up --tags {','.join([*services, *unaware])}`, or `./sse up` without --tags"
        )
    if others := told_of_others(release, latest, services):
        there = [*latest["containers"].values(), *release["containers"].values()]
        left = {one["service"] for one in there if one["container"] in others}
        declared = {one["service"] for one in release["containers"].values()}
        these = f"`./sse up --tags {','.join([*services, *sorted(left)])}`, or " if left <= declared else ""
        raise spec.SpecError(
            f"this run leaves {', '.join(others)} as before, and {', '.join(services)} would be told something else of "
            f"{'it' if len(others) == 1 else 'them'}: run {these}`./sse up` without --tags"
        )
    kept = {name: one for name, one in latest["containers"].items() if one["service"] not in services}
    taken = {name: one for name, one in release["containers"].items() if one["service"] in services}
    merged = {**kept, **taken}
    order = dict.fromkeys([*(name for name in release["containers"] if name in merged), *merged])
    checks = release.get("checks", [])
    kept_checks = [one for one in latest.get("checks", checks) if one["service"] not in services]
    taken_checks = [one for one in checks if one["service"] in services]
    return {**release, "containers": {name: merged[name] for name in order}, "checks": [*kept_checks, *taken_checks]}


def uninformed(release: Release, latest: StoredRelease, services: list[str]) -> list[str]:
    """Name the other services that speak of containers which a run of these services would add or remove."""
    own = spoken_of(release, latest, lambda service: service in services)
    return list(dict.fromkeys(service for service in own if service not in services))


def told_of_others(release: Release, latest: StoredRelease, services: list[str]) -> list[str]:
    """Name the containers of other services that this run neither makes nor removes, and that these speak of."""
    others = spoken_of(release, latest, lambda service: service not in services)
    return sorted({name for service, names in others.items() if service in services for name in names})


def spoken_of(release: Release, latest: StoredRelease, chosen: Callable[[str], bool]) -> dict[str, set[str]]:
    """Return of which containers each service speaks in another way than before, of those that come or go.

    :param chosen: of which services those containers are
    """

    def names(one: Release) -> set[str]:
        return {each["container"] for each in one["containers"].values() if chosen(each["service"])}

    moved = names(release) ^ names(latest)
    found: dict[str, set[str]] = {}
    if not moved:
        return found
    pattern = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, sorted(moved)))})(?![\w-])")
    for name, new in release["containers"].items():
        if old := latest["containers"].get(name):
            # How often, since one that reloads may know the address of a container long before it uses it.
            before, now = (Counter(pattern.findall(json.dumps(each).replace("\\n", "\n"))) for each in (old, new))
            if other := {one for one in moved if before[one] != now[one]}:
                found.setdefault(new["service"], set()).update(other)
    return found


def stale(release: Release, latest: StoredRelease | None, services: list[str]) -> list[str]:
    """Name the services that a run of some services leaves as they are, although their settings changed."""
    if not services or latest is None:
        return []

    def wanted(one: Spec) -> dict[str, object]:
        return {key: value for key, value in one.items() if key not in KNOWN_ON_THE_HOST}

    others = [(one, latest["containers"].get(name)) for name, one in release["containers"].items()]
    left = [new["service"] for new, __ in others if new["service"] not in services]
    changed = {
        new["service"]
        for new, old in others
        if old is None or spec.fingerprint(wanted(new)) != spec.fingerprint(wanted(old))
    }
    return [name for name in dict.fromkeys(left) if name in changed]


def has_ipv6(release: Release) -> bool:
    """Tell whether a release's networks have IPv6."""
    return any("ipv6" in one for one in release["networks"].values())


def was_applied(release: StoredRelease) -> bool:
    """Tell whether what a release declares came to run."""
    return release["meta"].get("outcome") == "applied"


def newest_releases(state_directory: str) -> list[StoredRelease]:
    """Return, for each project on this host, the newest release that was applied, or the newest one where none was.

    :raises spec.SpecError: for a release that another version of this collection wrote
    """
    found: list[StoredRelease] = []
    for store in stores(state_directory):
        read = store.all()[::-1]
        applied = [one for one in read if was_applied(one)]
        found += (applied or read)[:1]
    for one in found:
        refuse_other_format(one)
    return found


def stores(state_directory: str) -> list[ReleaseStore]:
    """Return the store of each project on this host."""
    directories = sorted((Path(state_directory) / "releases").glob("*"))
    return [ReleaseStore(state_directory, one.name) for one in directories if one.is_dir()]


def next_number(state_directory: str) -> int:
    """Return the number that the next release of the stack gets, whatever its project is."""
    return 1 + max((number for store in stores(state_directory) for number in store.numbers()), default=0)


def stack_number(state_directory: str) -> int:
    """Return the release of the stack that was applied last; 0 where there is none, or where it cannot be read."""
    try:
        applied = [one for one in newest_releases(state_directory) if was_applied(one)]
    except spec.SpecError:
        return 0
    return max((one["number"] for one in applied), default=0)


MATERIALS = "materials"  # what images hold: `materials` writes there


def bill(state_directory: str | Path, project: str, number: int) -> Path:
    """Return the file for the bill of materials of a release."""
    return Path(state_directory) / MATERIALS / project / f"{number:04d}.cdx.json"


class DamagedReleaseError(spec.SpecError):
    """A file of a release cannot be read."""

    def __init__(self, path: Path, why: str) -> None:
        """Name the file, and what helps."""
        super().__init__(f"{path} {why}: move it away, so that the release before it counts")
        self.path = path


class ReleaseStore:
    """The numbered releases of one project. A file has mode 0600, and only its outcome is ever rewritten."""

    def __init__(self, state_directory: str, project: str) -> None:
        """Keep releases under ``<state>/releases/<project>``."""
        self.project = project
        self.state_directory = state_directory
        self.directory = Path(state_directory) / "releases" / project

    def numbers(self) -> list[int]:
        """List the numbers, oldest first."""
        if not self.directory.is_dir():
            return []
        return sorted(int(path.stem) for path in self.directory.glob("*.json") if path.stem.isdigit())

    def read(self, number: int) -> StoredRelease | None:
        """Return a release, or None where there is no file of it; raises spec.SpecError for a damaged file."""
        path = self.directory / f"{number:04d}.json"
        try:
            found = parse(path.read_text())
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise DamagedReleaseError(path, f"is damaged ({error})") from None
        except OSError as error:
            raise DamagedReleaseError(path, f"can't be read ({error.strerror})") from None
        if (found["number"], found["project"]) != (number, self.project):  # a copy, which is no release of its own
            raise DamagedReleaseError(
                path, f"is in a wrong place (it is release {found['number']} of {found['project']})"
            )
        return found

    def all(self) -> list[StoredRelease]:
        """Return every release, oldest first."""
        return [one for number in self.numbers() if (one := self.read(number))]

    def latest(self) -> StoredRelease | None:
        """Return the newest release."""
        numbers = self.numbers()
        return self.read(numbers[-1]) if numbers else None

    def has_applied(self, number: int) -> bool:
        """Tell whether the release of this number is here and was applied."""
        release = self.read(number)
        return release is not None and was_applied(release)

    def number_for(self, release: Release, fresh: int) -> int:
        """Return the latest number where the content is the same, else a fresh one."""
        latest = self.latest()
        return latest["number"] if latest and content_hash(latest) == content_hash(release) else fresh

    def spec_of(self, container: str, fingerprint: str) -> Spec | None:
        """Return a container's spec with this fingerprint from the newest release that has it."""
        for number in reversed(self.numbers()):
            one = (self.read(number) or {"containers": {}})["containers"].get(container)
            if one and spec.fingerprint(one) == fingerprint:
                return one
        return None

    def remove(self, number: int) -> None:
        """Remove a release."""
        (self.directory / f"{number:04d}.json").unlink(missing_ok=True)
        bill(self.state_directory, self.project, number).unlink(missing_ok=True)

    def write(self, release: StoredRelease) -> None:
        """Write a release in one step, so that a killed run leaves the old file or the new one."""
        state_modes.make(self.directory.parent)
        self.directory.mkdir(exist_ok=True, mode=state_modes.PRIVATE)
        write_file(self.directory / f"{release['number']:04d}.json", json.dumps(release, indent=1), durable=True)
