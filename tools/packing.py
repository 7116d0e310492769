"""The parts of a bundle, and the tar archive that they go into, written in one pass."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    import containers

BLOCK = 512  # bytes; the unit of tar (tar(5))
CHUNK = 1 << 20
TICK = 10.0  # seconds between two lines about progress, where nobody looks at a terminal
# What roles/docker installs from the distribution, and what the launcher needs. A test compares them.
PACKAGES = (
    *("docker.io", "iptables", "apparmor", "ca-certificates", "python3-docker", "python3-requests"),
    *("python3", "python3-venv"),
)
CLIENT = "docker-cli"  # a package of its own from Debian 13 on
NEEDED = "community.docker"  # the collection that this one needs; galaxy.yml names it, too
# What a checkout without git leaves out.
LEFT_BEHIND = {".git", ".venv", ".ansible", "bundle", "node_modules", "__pycache__"}


class PackingError(Exception):
    """A part of the bundle cannot be had. The message says what to do."""


def say(text: str) -> None:
    """Say what happens."""
    sys.stderr.write(f"sse: {text}\n")


def size(count: int) -> str:
    """Return a number of bytes as a person reads it."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


# --- the archive


class Readable(Protocol):
    """What has bytes to read."""

    def read(self, count: int, /) -> bytes:
        """Return the next bytes; none at the end."""
        ...


class Packer:
    """A tar archive that is written in one pass, with the checksum of each file."""

    def __init__(self, file: BinaryIO) -> None:
        """Write into a file that can be sought."""
        self.file = file
        self.digests: dict[str, str] = {}  # by name

    def add(self, name: str, path: Path) -> None:
        """Add a file or a link of the disk."""
        info = tarfile.TarInfo(name)
        info.mtime = int(path.lstat().st_mtime)
        if path.is_symlink():
            info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
            self.file.write(info.tobuf(tarfile.GNU_FORMAT))
            return
        info.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
        with path.open("rb") as source:
            self._write(info, source, lambda _: None)

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a file that this program made."""
        info = tarfile.TarInfo(name)
        info.size, info.mtime = len(content), int(time.time())
        self.digests[name] = hashlib.sha256(content).hexdigest()
        self.file.write(info.tobuf(tarfile.GNU_FORMAT) + content + b"\0" * (-len(content) % BLOCK))

    def add_stream(self, name: str, source: Readable, what: str) -> None:
        """Add what a program writes, and show how far it is."""
        info = tarfile.TarInfo(name)
        info.mtime = int(time.time())
        with progress(what) as told:
            self._write(info, source, told)

    def _write(self, info: tarfile.TarInfo, source: Readable, told: Callable[[int], None]) -> None:
        """Write a file whose size shows only at its end: its header is written again then."""
        start = self.file.tell()
        self.file.write(info.tobuf(tarfile.GNU_FORMAT))
        digest = hashlib.sha256()
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            self.file.write(chunk)
            info.size += len(chunk)
            told(info.size)
        self.file.write(b"\0" * (-info.size % BLOCK))
        end = self.file.tell()
        self.file.seek(start)
        self.file.write(info.tobuf(tarfile.GNU_FORMAT))
        self.file.seek(end)
        self.digests[info.name] = digest.hexdigest()

    def sums(self, head: str, names: Iterable[str]) -> bytes:
        """Return the checksums of files as sha256sum(1) writes them, with names relative to a directory."""
        kept = [(self.digests[head + name], name) for name in names if head + name in self.digests]
        return "".join(f"{digest}  {name}\n" for digest, name in kept).encode()

    def close(self) -> None:
        """Write the end of the archive."""
        self.file.write(b"\0" * (2 * BLOCK))


@contextmanager
def progress(what: str) -> Generator[Callable[[int], None]]:
    """Show how many bytes of something are written: on a terminal all the time, else some lines."""
    begun = time.monotonic()
    shown = 0.0
    terminal = sys.stderr.isatty()

    def told(count: int) -> None:
        nonlocal shown
        seconds = time.monotonic() - begun
        if seconds - shown >= (1.0 if terminal else TICK):
            shown = seconds
            line = f"sse:   {what}: {size(count)}, {seconds:.0f} s"
            sys.stderr.write(f"\r{line}" if terminal else f"{line}\n")

    yield told
    if terminal and shown:
        sys.stderr.write("\r\033[K")


# --- the parts


class Machine(NamedTuple):
    """What of this machine the other one must have, too."""

    architecture: str  # as Debian calls it
    distribution: str  # id and version
    python: str
    platform: str


def machine() -> Machine:
    """Return what this machine is."""
    release = platform.freedesktop_os_release()
    return Machine(
        output("dpkg", "--print-architecture"),
        f"{release['ID']} {release.get('VERSION_ID', '')}",
        f"{sys.version_info.major}.{sys.version_info.minor}",
        sysconfig.get_platform(),
    )


def output(*command: str) -> str:
    """Return what a program prints.

    :raises PackingError: it is not there, or it fails
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except FileNotFoundError:
        raise PackingError(f"{command[0]} is not installed here: make the bundle on Debian or Ubuntu") from None
    except subprocess.CalledProcessError as error:
        raise PackingError(
            f"{' '.join(command[:3])} ... failed: {error.stderr.strip() or error.stdout.strip()}"
        ) from None


def wheels(lock: Path, directory: Path) -> list[Path]:
    """Download the wheels that the controller needs, for this Python and this platform, by the hashes of the lock."""
    pip = (sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--require-hashes")
    output(*pip, "--only-binary", ":all:", "-d", str(directory), "-r", str(lock))
    return sorted(directory.iterdir())


class Packages(NamedTuple):
    """The Debian packages for a host like this machine."""

    archive: Path
    names: list[str]


def packages(work: Path) -> Packages | None:
    """Download the engine's packages with everything that they depend on; say so where they can't be had.

    apt is told that nothing is installed, so that a host with fewer packages than this one finds all of them.
    """
    directory = work / "packages"
    (directory / "partial").mkdir(parents=True)
    status = work / "status"
    status.touch()
    names = [*PACKAGES, *([CLIENT] if has_client_package() else [])]
    options = {
        "Debug::NoLocking": "1",
        "Dir::State::status": str(status),
        "Dir::Cache::archives": str(directory),
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
    }
    say("Debian packages of the engine")
    try:
        given = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        output("apt-get", "-qq", "-y", *given, "--no-install-recommends", "--download-only", "install", *names)
    except PackingError as error:
        say(f"the bundle gets no Debian packages, so its host must have an engine and python3-docker already: {error}")
        return None
    files = sorted(directory.glob("*.deb"))
    (directory / "Packages").write_text("\n".join(map(index_entry, files)))
    archive = work / "packages.tar"
    with tarfile.open(archive, "w") as tar:
        for path in [directory / "Packages", *files]:
            tar.add(path, path.name)
    return Packages(archive, [path.name for path in files])


def has_client_package() -> bool:
    """Tell whether the client of the engine is a package of its own, as roles/docker does."""
    release = platform.freedesktop_os_release()
    return release["ID"] == "debian" and int(release.get("VERSION_ID", "0")) >= 13


def index_entry(path: Path) -> str:
    """Return what the index of an apt archive says of a package (deb-packages(5)): apt compares size and checksum."""
    control = output("dpkg-deb", "-f", str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{control}\nFilename: ./{path.name}\nSize: {path.stat().st_size}\nSHA256: {digest}\n"


def checkout(root: Path) -> list[str]:
    """Return the files of this checkout: what git knows of, or everything but what tools leave behind."""
    command = ["git", "-C", str(root), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False) if (root / ".git").exists() else None
    if listed and listed.returncode == 0:
        return [name for name in listed.stdout.split("\0") if name and os.path.lexists(root / name)]
    found: list[str] = []
    for parent, directories, files in os.walk(root):
        directories[:] = sorted(set(directories) - LEFT_BEHIND)
        found += [(Path(parent) / name).relative_to(root).as_posix() for name in sorted(files)]
    return found


def commit(root: Path) -> str:
    """Return the commit of the checkout, and whether it has changes that no commit has."""
    given = os.environ.get("PLATFORM_COMMIT", "")
    command = ["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"]
    changed = subprocess.run(command, capture_output=True, text=True, check=False).stdout if given else ""
    return f"{given} with changes" if changed else given


def version(root: Path) -> str:
    """Return the version of the collection."""
    found = re.search(r"^version: *(\S+)", (root / "galaxy.yml").read_text(), re.MULTILINE)
    return found[1] if found else ""


def collections() -> dict[str, str]:
    """Return the versions of the collections that a run needs. They are inside the wheel of ansible."""
    manifest = Path(sysconfig.get_path("purelib")) / "ansible_collections" / NEEDED.replace(".", "/") / "MANIFEST.json"
    found = re.search(r'"version": "([^"]+)"', manifest.read_text())
    return {NEEDED: found[1] if found else ""}


# --- images


def image_ids(host: containers.Host, references: list[str]) -> dict[str, str]:
    """Return the ids of images by their references."""
    listed = output(*host.docker("image", "inspect", "--format", "{{.Id}}", *references)).splitlines()
    return dict(zip(references, listed, strict=True))


@dataclass
class Saved:
    """`docker save` of some images, compressed, as a file to read. Each layer is in it once."""

    save: subprocess.Popen[bytes]
    gzip: subprocess.Popen[bytes]

    def read(self, count: int, /) -> bytes:
        """Read the next bytes.

        :raises PackingError: at the end, where a program failed
        """
        chunk = self.gzip.stdout.read(count) if self.gzip.stdout else b""
        if not chunk and (self.save.wait() or self.gzip.wait()):
            raise PackingError("docker save failed. Read its message above, and check the disk of the engine")
        return chunk


def saved(host: containers.Host, references: list[str]) -> Saved:
    """Begin to save images of an engine."""
    save = subprocess.Popen(host.docker("save", *references), stdout=subprocess.PIPE)
    # One is fast, and the engines of all supported hosts can read gzip.
    gzip = subprocess.Popen([shutil.which("gzip") or "gzip", "-1"], stdin=save.stdout, stdout=subprocess.PIPE)
    if save.stdout:
        save.stdout.close()
    return Saved(save, gzip)
