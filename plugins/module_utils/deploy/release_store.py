"""The numbered releases of a host: one JSON file each, and what one release takes over from the one before."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.release import FORMAT
from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, StoredRelease


def content_hash(release: Release) -> str:
    """Hash of a release's content (not its number, nor who made it)."""
    body = {key: value for key, value in release.items() if key not in {"number", "meta"}}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def refuse_other_format(release: StoredRelease) -> None:
    """Refuse to read a release that another version of this collection wrote.

    :raises spec.SpecError: naming the way out
    """
    if release["format"] != FORMAT:
        raise spec.SpecError(
            f"release {release['number']} of {release['project']} has format {release['format']}, and this version "
            f"reads {FORMAT}: run `./sse up` without --tags once"
        )


def limited(release: Release, latest: StoredRelease | None, services: list[str]) -> Release:
    """Take only these services from the new release, and everything else as it was in the latest one.

    With no earlier release there is nothing to keep: the release is taken whole.
    """
    if not services or latest is None:
        return release
    refuse_other_format(latest)
    if latest["layout"] != release["layout"]:
        raise spec.SpecError("network_layout is another than what runs: run `./sse up` without --tags")
    if has_ipv6(latest) != has_ipv6(release):
        raise spec.SpecError("network_ipv6 is another than what runs: run `./sse up` without --tags")
    kept = {name: one for name, one in latest["containers"].items() if one["service"] not in services}
    taken = {name: one for name, one in release["containers"].items() if one["service"] in services}
    merged = {**kept, **taken}
    order = [name for name in release["containers"] if name in merged] + [
        name for name in merged if name not in release["containers"]
    ]
    checks = release.get("checks", [])
    kept_checks = [one for one in latest.get("checks", checks) if one["service"] not in services]
    taken_checks = [one for one in checks if one["service"] in services]
    return {**release, "containers": {name: merged[name] for name in order}, "checks": [*kept_checks, *taken_checks]}


def has_ipv6(release: Release) -> bool:
    """Tell whether a release's networks have IPv6."""
    return any("ipv6" in one for one in release["networks"].values())


def newest_releases(state_directory: str) -> list[StoredRelease]:
    """Return, of each project on this host, the newest release that was applied, or the newest where none was.

    :raises spec.SpecError: for a release that another version of this collection wrote
    """
    found: list[StoredRelease] = []
    for directory in sorted((Path(state_directory) / "releases").glob("*")):
        store = ReleaseStore(state_directory, directory.name)
        read = [one for number in reversed(store.numbers()) if (one := store.read(number))]
        applied = [one for one in read if one.get("meta", {}).get("outcome") == "applied"]
        found += (applied or read)[:1]
    for one in found:
        refuse_other_format(one)
    return found


class ReleaseStore:
    """The numbered releases of one project: one JSON file each, mode 0600, never rewritten but for their outcome."""

    def __init__(self, state_directory: str, project: str) -> None:
        """Keep releases under ``<state>/releases/<project>``."""
        self.directory = Path(state_directory) / "releases" / project

    def numbers(self) -> list[int]:
        """List the numbers, oldest first."""
        if not self.directory.is_dir():
            return []
        return sorted(int(path.stem) for path in self.directory.glob("*.json") if path.stem.isdigit())

    def read(self, number: int) -> StoredRelease | None:
        """Return a release, or None where its file is gone.

        :raises spec.SpecError: where it was damaged
        """
        path = self.directory / f"{number:04d}.json"
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise spec.SpecError(
                f"{path} is damaged ({error}): move it away, the release before it counts then"
            ) from None

    def latest(self) -> StoredRelease | None:
        """Return the newest release."""
        numbers = self.numbers()
        return self.read(numbers[-1]) if numbers else None

    def has_applied(self, number: int) -> bool:
        """Tell whether the release of this number is here, and ran."""
        release = self.read(number)
        return release is not None and release.get("meta", {}).get("outcome") == "applied"

    def number_for(self, release: Release) -> int:
        """Return the latest number where the content is the same, else the next one."""
        latest = self.latest()
        if latest is None:
            return 1
        same = content_hash(latest) == content_hash(release)
        return latest["number"] + (0 if same else 1)

    def write(self, release: StoredRelease) -> None:
        """Write a release in one step, so that a killed run leaves the old file or the new one."""
        self.directory.mkdir(parents=True, exist_ok=True)
        write_file(self.directory / f"{release['number']:04d}.json", json.dumps(release, indent=1), durable=True)
