#!/usr/bin/env python3
"""Write a bundle: one file from which a host with no network is deployed."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import containers
import inputs
import inventories
import packing
import private_file
import reaching

# isort: split
from ansible_collections.sse.platform.plugins.module_utils.images import bundle

if TYPE_CHECKING:
    import argparse

TOP = "sse-bundle"  # the directory that the bundle unpacks to
INSIDE = f"{TOP}/{bundle.DIRECTORY}"
PLAYBOOK = Path(__file__).with_name("bundle_images.yml")


class Asked(TypedDict):
    """What tools/bundle_images.yml reports."""

    images: list[str]
    architecture: str


def main() -> int:
    """Collect images, wheels, packages and the checkout, and write them into one file."""
    parser = containers.parser()
    parser.add_argument("file", metavar="FILE", type=Path, help="the bundle, for instance sse-bundle.tar")
    options = parser.parse_args()
    cluster = inventories.is_cluster(options.inventory)
    if cluster:
        for_cluster(options)
    target: Path = options.file.absolute()
    if target.exists():
        raise SystemExit(f"sse: {target} exists, and a bundle overwrites nothing: remove it, or give another name.")
    if not target.parent.is_dir():
        raise SystemExit(f"sse: there is no directory {target.parent}: make it, or give another file.")
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)  # of a run that was killed
    try:
        write(options, part)
        part.rename(target)
    except packing.PackingError as error:
        raise SystemExit(f"sse: {error}") from None
    except OSError as error:
        raise SystemExit(f"sse: the bundle could not be written: {error}") from None
    finally:
        part.unlink(missing_ok=True)
    size = packing.size(target.stat().st_size)
    where = f"machine that deploys, with your inventory copied into {TOP}" if cluster else "host without network"
    packing.say(f"wrote {target}, {size}. On the {where}:")
    up = ["./sse", "up", *(f"-i {one}" for one in options.inventory if cluster)]
    sys.stdout.write(f"tar xf {target.name} && cd {TOP} && {' '.join(up)}\n")
    return 0


def for_cluster(options: argparse.Namespace) -> None:
    """Have this machine get the images in place of the first manager, with its settings: no host needs a network."""
    if options.limit:
        raise SystemExit("sse: a bundle is for all hosts of a cluster, and this machine makes it: leave out -l.")
    options.limit = "managers[0]"
    options.extra_vars = [*options.extra_vars, json.dumps({"ansible_connection": "local"})]


def write(options: argparse.Namespace, part: Path) -> None:
    """Write the bundle."""
    host = containers.host(options, of_cluster=True)
    with tempfile.TemporaryDirectory(prefix="sse-bundle-") as directory, private_file.create(part) as file:
        work = Path(directory)
        asked = ask_images(options, work)
        machine = packing.machine()
        if asked["architecture"] != machine.architecture:
            raise packing.PackingError(
                f"the host is {asked['architecture']} and this machine is {machine.architecture}: "
                "run ./sse bundle on a machine like the one without network"
            )
        packer = packing.Packer(file)
        packing.say("wheels of Python")
        for wheel in packing.wheels(containers.ROOT / "requirements.txt", work / "wheels"):
            packer.add(f"{INSIDE}/wheels/{wheel.name}", wheel)
        packages = packing.packages(work)
        if packages:
            packer.add(f"{INSIDE}/{bundle.PACKAGES}", packages.archive)
        checkout = packing.checkout(containers.ROOT)
        for path in checkout:
            packer.add(f"{TOP}/{path}", containers.ROOT / path)
        packer.add_bytes(f"{INSIDE}/checkout.sha256", packer.sums(f"{TOP}/", [*filter(is_kept, checkout)]))
        ids = packing.image_ids(host, asked["images"])
        packer.add_stream(f"{INSIDE}/{bundle.IMAGES}", packing.saved(host, asked["images"]), "images")
        told: bundle.Manifest = {
            "format": bundle.FORMAT,
            "version": packing.version(containers.ROOT),
            "commit": packing.commit(containers.ROOT),
            "made": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "architecture": machine.architecture,
            "distribution": machine.distribution,
            "python": machine.python,
            "platform": machine.platform,
            "packages": packages.names if packages else [],
            "collections": packing.collections(),
            "images": ids,
        }
        packer.add_bytes(f"{INSIDE}/{bundle.MANIFEST}", (json.dumps(told, indent=2) + "\n").encode())
        inside = [one.removeprefix(f"{INSIDE}/") for one in packer.digests if one.startswith(f"{INSIDE}/")]
        packer.add_bytes(f"{INSIDE}/{bundle.SUMS}", packer.sums(f"{INSIDE}/", inside))
        packer.close()


def is_kept(name: str) -> bool:
    """Tell whether a file of the checkout must be the same on the host. Its inventories are the user's to edit."""
    return not name.startswith("inventory/")


def ask_images(options: argparse.Namespace, work: Path) -> Asked:
    """Have the host get the images that the settings need; return their references, and its architecture."""
    if problem := inputs.problem(options.extra_vars, options.inventory):
        raise packing.PackingError(problem)
    report = work / "asked.json"
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(PLAYBOOK)]
    command += [*inventories.words(options.inventory), *(["-l", options.limit] if options.limit else [])]
    command += [word for one in options.extra_vars for word in ("-e", one)]
    command += ["-e", json.dumps({"asked_report": str(report)}), *reaching.words(options)]
    ended = subprocess.run(command, check=False)
    if ended.returncode or not report.exists():
        raise packing.PackingError("the images could not be had: read the message above")
    return json.loads(report.read_text())


if __name__ == "__main__":
    sys.exit(main())
