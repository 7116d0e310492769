# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The bundle that this checkout came in: what it holds, for which machines, and whether its files are whole.

`./sse bundle` writes it. This runs on the controller, and reads only.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.host.checksum import digest_of
from ansible_collections.sse.platform.plugins.module_utils.images.steps import ImagesError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIRECTORY = "bundle"  # below the checkout
MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"  # as sha256sum(1) writes it
IMAGES = "images.tar.gz"
PACKAGES = "packages.tar"
# It rises when a bundle of before can't be read any more. tools/bundled knows it, too.
FORMAT = 1


class Manifest(TypedDict):
    """The file manifest.json. tools/bundled reads it with sed: each value that it needs has a line of its own."""

    format: int
    version: str  # of the collection
    commit: str
    made: str  # ISO 8601
    architecture: str  # as Debian calls it
    distribution: str  # id and version of the packages, such as debian 12
    python: str  # version that the wheels are for, such as 3.11
    platform: str  # such as linux-x86_64
    packages: list[str]  # file names; empty where the packages could not be had
    collections: dict[str, str]  # version by name; they are inside the wheel of ansible
    images: dict[str, str]  # id by reference


def manifest(collection: Path) -> Manifest | None:
    """Return what the bundle says about itself; None where the checkout did not come in one.

    :raises ImagesError: it is another format
    """
    path = collection / DIRECTORY / MANIFEST
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise ImagesError(f"{path} is damaged ({error}): unpack the bundle again") from error
    if not isinstance(found, dict) or cast("dict[str, object]", found).get("format") != FORMAT:
        raise ImagesError(f"{path} is of another format: expected {FORMAT}. Use a bundle of this version")
    return cast("Manifest", found)


def misfits(bundle: Manifest, architecture: str, distribution: str, *, images: bool, packages: bool) -> Iterator[str]:
    """Say why a host cannot take from the bundle what it needs.

    :param architecture: of the host
    :param distribution: id and version of the host
    :param images: whether the host needs images of the bundle
    :param packages: whether the host needs Debian packages of the bundle
    """
    if (images or packages) and bundle["architecture"] != architecture:
        yield f"the bundle is for {bundle['architecture']}, and the host is {architecture}"
    if packages and not bundle["packages"]:
        yield "the bundle has no Debian packages, and the host lacks the engine or python3-docker"
    elif packages and bundle["distribution"] != distribution:
        yield f"the packages of the bundle are for {bundle['distribution']}, and the host runs {distribution}"


def refuse_damaged(collection: Path, name: str) -> None:
    """Compare a file of the bundle with its checksum.

    :raises ImagesError: it differs, or it has none
    """
    directory = collection / DIRECTORY
    lines = [line.partition("  ") for line in (directory / SUMS).read_text().splitlines()]
    sums = {listed: checksum for checksum, __, listed in lines}
    try:
        with (directory / name).open("rb") as file:
            digest = digest_of(file)
    except OSError as error:
        raise ImagesError(f"{directory / name} can't be read ({error.strerror}): unpack the bundle again") from error
    if digest != sums.get(name):
        raise ImagesError(
            f"{directory / name} is damaged: its checksum is {digest}, expected {sums.get(name, 'one')} "
            f"of {SUMS}. Copy the bundle again, and unpack it again"
        )
