"""Build a test host's root filesystem with mmdebstrap, import it into the running engine, print the result as JSON.

Usage: host_image.py SUITE ARCHIVE PACKAGE...

The packages come from where this machine gets its own (its apt sources with the suite exchanged) or from the mirror
named by MOLECULE_DEBIAN_MIRROR or MOLECULE_UBUNTU_MIRROR. The image's tag is the hash of all that goes into it, so the
next run finds it. Prints {"image": reference, "built": bool}, or {"skipped": reason} where the suite can't be had.
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
# How this machine reaches its mirror; a host that it creates has to go the same way.
KEPT_OPTIONS = ("Acquire::http::", "Acquire::https::", "Acquire::Check-", "Acquire::Retries ")


class CannotBuildError(Exception):
    """This machine has no way to get the suite's packages."""


def output(*command: str) -> str:
    """Standard output of a command that must succeed within a minute."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def apt_sources(suite: str, archive: str) -> list[str]:
    """Lines of sources.list for the suite."""
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
        raise CannotBuildError(f"this machine's apt knows no {archive} archive, and {variable} is not set")
    return list(dict.fromkeys(lines))


def apt_options() -> list[str]:
    """This machine's apt options that decide how a mirror is reached, such as a proxy."""
    dump = output("apt-config", "dump", "--no-empty", "Acquire").splitlines()
    return [line.rstrip(";") for line in dump if line.startswith(KEPT_OPTIONS)]


def build(reference: str, suite: str, keyring: Path, packages: list[str], sources: list[str]) -> None:
    """Make the root filesystem and import it as the image `reference`."""
    with tempfile.TemporaryDirectory(prefix="mol-") as directory:
        root = f"{directory}/root.tar"
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"]
        command += [f"--keyring={keyring}", *(f"--aptopt={option}" for option in apt_options())]
        subprocess.run([*command, suite, root, *sources], check=True, stdout=sys.stderr, timeout=540)
        output("docker", "import", root, reference)


def image_of(suite: str, archive: str, packages: list[str]) -> dict[str, str | bool]:
    """Find or build the image; drop the ones that it supersedes."""
    keyring = Path(f"/usr/share/keyrings/{archive}-archive-keyring.gpg")
    if not keyring.exists():
        raise CannotBuildError(f"no {keyring} here")
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
    """Print what became of the request."""
    suite, archive, *packages = sys.argv[1:]
    try:
        result = image_of(suite, archive, packages)
    except CannotBuildError as error:
        result = {"skipped": str(error)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
