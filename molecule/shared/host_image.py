"""Build the root filesystem of a test host with mmdebstrap, and import it into the running engine as an image.

Usage: host_image.py SUITE ARCHIVE PACKAGE...

The packages come from the apt sources of this machine, with another suite, or from the mirror that
MOLECULE_DEBIAN_MIRROR or MOLECULE_UBUNTU_MIRROR names. The tag of the image is the hash of everything that goes into
it, so the next run finds the image. It prints JSON: {"image": reference, "built": bool}, or {"skipped": reason} where
this machine cannot get the suite.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

COMPONENTS = {"debian": "main", "ubuntu": "main universe"}
# The apt options with which this machine reaches its mirror; a host that it creates has the same way.
KEPT_OPTIONS = ("Acquire::http::", "Acquire::https::", "Acquire::Check-", "Acquire::Retries ")


class CannotBuildError(Exception):
    """This machine cannot get the packages of the suite. The message gives the reason."""


def output(*command: str) -> str:
    """Return the output of a command that must succeed within a minute."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def apt_sources(suite: str, archive: str) -> list[str]:
    """Return the lines of sources.list for the suite."""
    variable = f"MOLECULE_{archive.upper()}_MIRROR"
    if mirror := os.environ.get(variable):
        return [f"deb {mirror} {suite} {COMPONENTS[archive]}"]
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    targets = output("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)",
                     "Created-By: Packages", f"Origin: {archive.capitalize()}")  # fmt: skip
    lines: list[str] = []
    for target in targets.splitlines():
        address, release = target.split()
        if release.split("-")[0] == codename:
            lines.append(f"deb {address.rstrip('/')} {suite}{release.removeprefix(codename)} {COMPONENTS[archive]}")
    if not lines:
        raise CannotBuildError(f"apt on this machine has no archive of {archive}, and {variable} is not set")
    return list(dict.fromkeys(lines))


def apt_options() -> list[str]:
    """Return the apt options of this machine that say how it reaches a mirror, such as a proxy."""
    dump = output("apt-config", "dump", "--no-empty", "Acquire").splitlines()
    return [line.rstrip(";") for line in dump if line.startswith(KEPT_OPTIONS)]


def build(reference: str, suite: str, keyring: Path, packages: list[str], sources: list[str]) -> None:
    """Build the root filesystem, and import it as the image `reference`."""
    with tempfile.TemporaryDirectory(prefix="mol-") as directory:
        root = f"{directory}/root.tar"
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"]
        command += [f"--keyring={keyring}", *(f"--aptopt={option}" for option in apt_options())]
        subprocess.run([*command, suite, root, *sources], check=True, stdout=sys.stderr, timeout=540)
        output("docker", "import", root, reference)


def image_of(suite: str, archive: str, packages: list[str]) -> dict[str, str | bool]:
    """Return the image, and build it where it is missing; then remove older images of the same host."""
    keyring = Path(f"/usr/share/keyrings/{archive}-archive-keyring.gpg")
    if not keyring.exists():
        raise CannotBuildError(f"the file {keyring} is missing")
    sources = apt_sources(suite, archive)
    inputs = json.dumps([Path(__file__).read_text(), suite, str(keyring), packages, sources, apt_options()])
    repository = f"mol/{suite}-{packages[0]}"
    reference = f"{repository}:{hashlib.sha256(inputs.encode()).hexdigest()[:12]}"
    present = output("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", repository).splitlines()
    if reference in present:
        return {"image": reference, "built": False}
    build(reference, suite, keyring, packages, sources)
    for superseded in present:
        subprocess.run(
            ["docker", "rmi", superseded], check=False, capture_output=True, timeout=60
        )  # another may use it
    return {"image": reference, "built": True}


def main() -> None:
    """Print the image, or why it is skipped."""
    suite, archive, *packages = sys.argv[1:]
    try:
        result = image_of(suite, archive, packages)
    except CannotBuildError as error:
        result = {"skipped": str(error)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
