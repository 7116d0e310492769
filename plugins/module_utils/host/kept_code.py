# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The code of the modules, kept on a host under the hash of its content, so that a task brings only its arguments.

Ansible packs a module with everything that it imports, sends it, and the host compiles it, for each task anew. The
controller sends the text of this file instead, followed by a call of `run`: so it imports nothing of the collection.
Python keeps what it compiled beside the code. See `plugin_utils/carried_code.py`.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import hashlib
import importlib
import io
import json
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

HOME = "/var/cache/sse-platform"  # for root alone; it can be deleted at any time
MOST = 4  # versions that stay
UNWANTED = "unwanted"  # a file of this name asks for all versions to be removed
COLLECT_EVERY = 50_000  # new objects; by Python's own 700, loading the code takes 8 % more time
MISSING = "code_is_missing"  # in the answer of a host that does not keep the code


def digest(files: dict[str, bytes]) -> str:
    """Hash the files of a version, given by their relative paths."""
    summed = hashlib.sha256()
    for path in sorted(files):
        summed.update(f"{path}\0{len(files[path])}\0".encode())
        summed.update(files[path])
    return summed.hexdigest()[:32]


def packed(files: dict[str, bytes]) -> bytes:
    """Pack the files of a version to be sent."""
    import base64  # noqa: PLC0415 - these two take as long to load as all the rest, and most tasks need neither
    import zipfile  # noqa: PLC0415

    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
    return base64.b64encode(body.getvalue())


def is_whole(version: str, home: str = HOME) -> bool:
    """Tell whether a version is here, belongs to this user (root) alone, and has the content that its name says."""
    directory = Path(home, version)
    return all(_is_private(one) for one in (Path(home), directory)) and digest(_sources(directory)) == version


def keep(version: str, packed_files: bytes, home: str = HOME) -> int | None:
    """Unpack a version, remove the oldest of more than a few, and hold what is left.

    :raises OSError: this user or this file system does not allow it
    """
    import base64  # noqa: PLC0415 - as in `packed`
    import zipfile  # noqa: PLC0415

    with contextlib.suppress(FileExistsError):
        Path(home).mkdir(0o700)
    if not _is_private(Path(home)):
        raise PermissionError(f"{home} does not belong to root alone")
    descriptor = hold(home)
    made = tempfile.mkdtemp(dir=home)  # for this user alone
    try:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(packed_files))) as archive:
            archive.extractall(made)
        shutil.rmtree(Path(home, version), ignore_errors=True)  # damaged, or of another run of this moment
        Path(made).rename(Path(home, version))
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        raise
    if descriptor is not None and _is_alone(descriptor):
        for old in sorted(Path(home).iterdir(), key=lambda one: one.stat().st_mtime)[:-MOST]:
            shutil.rmtree(old, ignore_errors=True)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def forget(home: str = HOME) -> None:
    """Have all versions removed when the module ends that runs from one of them, unless another runs then."""
    with contextlib.suppress(OSError):
        Path(home, UNWANTED).touch(0o600)


def hold(home: str = HOME) -> int | None:
    """Keep the versions from being removed for as long as the returned descriptor is open; None where none are."""
    try:
        descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def let_go(descriptor: int, home: str = HOME) -> None:
    """Remove all versions where that was asked for, and nobody else holds them."""
    unwanted = Path(home, UNWANTED)
    if unwanted.exists():
        if _is_alone(descriptor):
            shutil.rmtree(home, ignore_errors=True)
        unwanted.unlink(missing_ok=True)
    os.close(descriptor)


def run(version: str, module: str, arguments: str, profile: str, packed_files: bytes | None) -> None:
    """Run a module from the code of a version, which is kept first where it is given."""
    with contextlib.suppress(OSError):
        os.chdir("/")  # the directory of the user may be closed for root, and must not be searched for modules
    sys.path[:] = [path for path in sys.path if path not in {"", ".", str(Path(sys.argv[0]).parent)}]
    descriptor = hold()
    here = is_whole(version)
    if packed_files and not here:
        if descriptor is not None:
            os.close(descriptor)
            descriptor = None
        with contextlib.suppress(OSError):
            descriptor = keep(version, packed_files)
            here = is_whole(version)
    if descriptor is None or not here:
        sys.stdout.write(json.dumps({MISSING: True, "can_keep": os.geteuid() == 0}))
        return
    directory = Path(HOME, version)
    with contextlib.suppress(OSError):  # after a fault of the disk, the kernel may have made it read-only
        os.utime(directory)
    sys.dont_write_bytecode = False
    gc.set_threshold(COLLECT_EVERY)
    sys.path.insert(0, str(directory))
    # It is among the files.
    loader: Any = importlib.import_module("ansible.module_utils._internal._ansiballz._loader")
    try:
        loader.run_module(
            json_params=arguments.encode(),
            profile=profile,
            module_fqn=module,
            modlib_path=str(directory),
            extensions={},
        )
    finally:
        let_go(descriptor)


def _is_alone(descriptor: int) -> bool:
    """Take what is held for oneself, where nobody else holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_private(directory: Path) -> bool:
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _sources(directory: Path) -> dict[str, bytes]:
    found = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if "__pycache__/" not in name}
