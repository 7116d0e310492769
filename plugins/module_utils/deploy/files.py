# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A container's files on the host, below the state directory: its config, its secrets and its data directories."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError, files_told
from ansible_collections.sse.platform.plugins.module_utils.deploy.loaded import LoadedStore
from ansible_collections.sse.platform.plugins.module_utils.deploy.made import MadeStore
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import SecretError
from ansible_collections.sse.platform.plugins.module_utils.deploy.trials import goes_on, trial_name
from ansible_collections.sse.platform.plugins.module_utils.deploy.written import WrittenStore
from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import make_way, write_directory
from ansible_collections.sse.platform.plugins.module_utils.model.repair import Repair
from ansible_collections.sse.platform.plugins.module_utils.model.spec import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed
    from ansible_collections.sse.platform.plugins.module_utils.model.types import SecretFile, Spec

SECRET = 0o400  # the mode of a file that holds one
WHOLE = "{}"  # the format of a file that is the secret itself
Mounts = dict[str, tuple[str, bool]]  # container path -> (host path, read-only)


class Directory(NamedTuple):
    """One directory of files that a container mounts read-only."""

    path: Path
    files: Mapping[str, str | SecretFile]  # name -> text, or the secret that is its text
    mode: int  # of each file
    owner: tuple[int, ...]  # user id and group id of the files
    reader: tuple[int, ...]  # of the directory, which only its container's user may enter
    live: bool  # a running container reads it anew


class Files:
    """Writes what containers mount. Config is in a directory named by its hash, so two versions can exist together."""

    def __init__(self, state_directory: str, store: Store) -> None:
        """Keep everything below one directory."""
        self.state = Path(state_directory)
        self.store = store
        self.loaded = LoadedStore(state_directory)
        self.made = MadeStore(state_directory)
        self.written = WrittenStore(state_directory, store.hashed)
        self.only_looks = False  # compares what it has no text for with what was written, and mends nothing
        self.containers: Mapping[str, Spec] = {}  # of the release: one may mount a directory of another

    def seen(self, observed: list[Observed]) -> list[Observed]:
        """Return what runs with the labels that it should have by what runs wrote down of it."""
        return self.made.seen(self.loaded.seen(observed))

    @files_told()
    def mounts(self, name: str, spec: Spec, version: Path | None = None) -> Mounts:
        """Write a container's config and secrets, make its data directories, and return all its mounts.

        :param version: the directory of its config and secrets; without it, the one that the container has
        :raises ApplyError: the kernel refuses a file
        """
        mounts: Mounts = {target: (source, True) for target, source in spec["binds"].items()}
        for target, one in self.directories(name, spec, version).items():
            self.write(one)
            mounts[target] = (str(one.path), True)
        for target, (directory, top) in self.writable(name, spec).items():
            state_modes.make(top)
            make_directory(directory, top)
            mode = state_modes.mode_of(directory, spec, self.containers)
            state_modes.hand_over(directory, top, mode, state_modes.owner_of(spec))
            if taken(directory, spec):
                state_modes.give_all(directory, state_modes.owner_of(spec))
            mounts[target] = (str(directory), False)
        return mounts

    @files_told()
    def write(self, directory: Directory, *, trial: bool = False) -> None:
        """Write what differs in a directory, each file in one step, and remove the files that are not declared.

        :raises ApplyError: the kernel refuses a file
        """
        texts = {file: self.text(content, make=True) for file, content in directory.files.items()}
        top = self.state / ("trial" if trial else "files")
        state_modes.make(top)
        if directory.mode == SECRET and not trial:
            self.written.record(directory.path, texts)
        for file in texts:
            make_way(directory.path / file, top)
        different = {file: one for file, one in texts.items() if self.difference(directory.path / file, one, directory)}
        write_directory(directory.path, different, mode=directory.mode, owner=directory.owner, reader=directory.reader)
        state_modes.hand_over(directory.path, top, state_modes.PRIVATE, directory.reader)
        for stranger in strangers(directory):
            stranger.unlink()

    @contextlib.contextmanager
    def trial(self, name: str, spec: Spec) -> Generator[Mounts]:
        """Write config and secrets for a container that only reads them, and leave nothing of it.

        They are not among those that are in use: the directories of those belong to the user of another version.
        """
        version = self.state / "trial" / trial_name(name)
        is_first = not self.state.is_dir()
        directories = {
            target: one
            for target, one in self.directories(name, spec, version).items()
            if not one.live or one.path.is_dir()
        }
        mounts: Mounts = {target: (source, True) for target, source in spec["binds"].items()}
        try:
            for one in directories.values():
                if not one.live:
                    self.write(one, trial=True)
            yield mounts | {target: (str(one.path), True) for target, one in directories.items()}
        finally:
            shutil.rmtree(version, ignore_errors=True)
            with contextlib.suppress(OSError):  # another trial is in it, or there was none
                version.parent.rmdir()
                if is_first:
                    self.state.rmdir()

    def kept(self, directories: Iterable[Directory]) -> Callable[[], str]:
        """Return a function that puts the files of these directories back as they are now.

        It returns a sentence where it can't: what it puts back for counts more.
        """
        kept = [one._replace(files=contents(one.path)) for one in directories if one.path.is_dir()]

        def put_back() -> str:
            try:
                for one in kept:
                    self.write(one)
            except ApplyError as error:
                return f"Its earlier files can't be put back: {error}"
            return ""

        return put_back

    def directories(self, name: str, spec: Spec, version: Path | None = None) -> dict[str, Directory]:
        """Return the directories of a container's config and secrets, by where it mounts them.

        :param version: the directory that holds them; without it, the one that the container has
        """
        version, user = version or self.mounted(name, spec), state_modes.owner_of(spec)
        found: dict[str, Directory] = {}
        for index, (target, files) in enumerate(spec["config"].items()):
            found[target] = Directory(version / f"config-{index}", files, 0o444, (0, 0), user, live=False)
        for index, (target, secrets) in enumerate(spec["secrets"].items()):
            found[target] = Directory(version / f"secrets-{index}", secrets, SECRET, user, user, live=False)
        for index, (target, secrets) in enumerate(spec["live_secrets"].items()):
            path = self.state / "files" / name / f"live-{index}"
            found[target] = Directory(path, secrets, SECRET, user, user, live=True)
        return found

    def copies(self, containers: Mapping[str, Spec]) -> dict[str, Path]:
        """Return where these containers have the secrets whose values must not change, by the name of the secret."""
        kept = {name for name, one in self.store.declared.items() if one.get("kept")}
        found: dict[str, Path] = {}
        for name, spec in containers.items():
            if not any(one["secret"] in kept for files in spec.get("secrets", {}).values() for one in files.values()):
                continue
            for one in self.directories(name, spec).values():
                for file, content in one.files.items():
                    if not isinstance(content, str) and content["secret"] in kept and content["format"] == WHOLE:
                        found[content["secret"]] = one.path / file
        return found

    def writable(self, name: str, spec: Spec) -> dict[str, tuple[Path, Path]]:
        """Return the directories that a container writes to, each with the one that holds all of its kind.

        By where it mounts them: those of its own data, and those that it has in common with others of its user.
        """
        data, shared = self.state / "data", self.state / "shared"
        return {
            **{target: (data / name / below, data) for target, below in spec["data"].items()},
            **{target: (directory, shared) for target, directory in self.shared(spec).items()},
        }

    def shared(self, spec: Spec) -> dict[str, Path]:
        """Return the directories that a container has in common with others of its user, by where it mounts them."""
        return {target: self.state / "shared" / below for target, below in spec.get("shared", {}).items()}

    def known(self, content: str | SecretFile, spec: Spec) -> str | None:
        """Return the text of a file; None where it holds a secret that was given, and is not given now.

        Then the host has no value of it, or another one than the container got: its own, from before.
        """
        if not isinstance(content, str):
            if self.only_looks and not self.store.is_made_here(content["secret"]):
                return None
            try:
                if not self.is_known(content["secret"], spec.get("fingerprints", {})):
                    return None
            except SecretError:
                if self.only_looks:
                    return None
                raise
        return self.text(content, make=False)

    def is_known(self, secret: str, fingerprints: Mapping[str, str | None]) -> bool:
        """Tell whether the host has the value of a secret that a container was given."""
        if self.store.value(secret, make=False) is None:
            return False
        declared = self.store.declared.get(secret)
        if declared and declared.get("given") and secret not in self.store.given:
            return False
        return secret not in fingerprints or self.store.fingerprint(secret, make=False) == fingerprints[secret]

    def text(self, content: str | SecretFile, *, make: bool) -> str:
        """Return the text of a file."""
        if isinstance(content, str):
            return content
        return self.store.render(content["secret"], content["format"], make=make)

    def write_down_anew(self, containers: Mapping[str, Spec]) -> None:
        """Write down what the files of secrets hold, where the key of the hashes is another one than before."""
        for name, spec in containers.items():
            for one in self.directories(name, spec).values():
                if one.mode == SECRET and one.path.is_dir():
                    self.written.record(one.path, contents(one.path))

    def rendered(self, name: str, spec: Spec) -> Iterator[tuple[str, str, Path]]:
        """Return which secrets a container's files hold: the name of each, its format, and the path on the host."""
        for one in self.directories(name, spec).values():
            for file, content in one.files.items():
                if not isinstance(content, str):
                    yield content["secret"], content["format"], one.path / file

    def differences(self, name: str, spec: Spec, started: float) -> Iterator[Repair]:
        """Compare the files on the host with what the container should find there.

        :param started: when the container started, in seconds since the epoch: it has read what is older
        """
        for target, one in self.directories(name, spec).items():
            for file, content in one.files.items():
                path = one.path / file
                text = self.known(content, spec)
                what = self.difference(path, text, one)
                if self.only_looks and text is None and path.is_file() and self.written.differs(path):
                    what = "was changed on the host"
                if what:
                    read = not one.live and bool(started) and changed(path) < started
                    yield Repair("write", f"{target}/{file}", f"{target}/{file}: {what}", restart=read)
            for stranger in strangers(one):
                place = f"{target}/{stranger.relative_to(one.path)}"
                yield Repair("write", place, f"{place}: is not declared, and is removed")
        for target, (directory, top) in self.writable(name, spec).items():
            if other := in_the_way(directory, top):
                what = f"{target}: {other} is no directory; it is kept as {aside(other)}, and {directory} is empty"
                yield Repair("write", target, what, restart=True)
            elif not directory.is_dir():
                what = f"{target}: the directory {directory} is gone; it is made again and is empty"
                yield Repair("write", target, what, restart=True)
            elif other := taken(directory, spec):
                path, has = other
                yield Repair("write", target, f"{target}: {path} belongs to {has[0]}:{has[1]} -> {spec['user']}")

    @staticmethod
    def difference(path: Path, text: str | None, directory: Directory) -> str:
        """Say how a file on the host differs; an empty answer means that it does not.

        :param text: what it should hold; None where nobody knows, so that only its presence and permissions count
        """
        try:
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode) or (text is not None and path.read_bytes() != text.encode()):
                return "content" if directory.live else "was changed on the host"
        except (FileNotFoundError, NotADirectoryError):
            return "is missing"
        mode = stat.S_IMODE(found.st_mode)
        if mode != directory.mode:
            return f"permissions {mode:o} -> {directory.mode:o}"
        if (found.st_uid, found.st_gid) != directory.owner:
            return f"owner {found.st_uid}:{found.st_gid} -> {':'.join(map(str, directory.owner))}"
        return ""

    def version(self, name: str, spec: Spec) -> Path:
        """Return the directory of this version of a container's files."""
        body = json.dumps([spec["config"], spec["secrets"], spec["user"], spec.get("fingerprints")], sort_keys=True)
        return self.state / "files" / name / hashlib.sha256(body.encode()).hexdigest()[:16]

    def mounted(self, name: str, spec: Spec) -> Path:
        """Return the directory of the files that a container mounts: of another version where it was reloaded since."""
        loaded = self.loaded.read(name)
        if loaded and fingerprint(loaded["spec"]) == fingerprint(spec):
            return self.state / "files" / name / loaded["version"]
        return self.version(name, spec)

    def prune_trials(self) -> None:
        """Remove the trials of runs that were killed. One that somebody looks at meanwhile would miss its files."""
        for path in (self.state / "trial").glob("*"):
            if not goes_on(path.name):
                shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):  # there was none, or another one is in it
            (self.state / "trial").rmdir()

    def prune(self, containers: Mapping[str, Spec]) -> None:
        """Remove the versions that these containers do not mount. Files of other containers stay."""
        self.prune_trials()
        for name, spec in containers.items():
            live = {one.path for one in self.directories(name, spec).values() if one.live}
            current = {self.version(name, spec), *live}
            if loaded := self.loaded.read(name):
                current.add(self.state / "files" / name / loaded["version"])
            for path in (self.state / "files" / name).glob("*"):
                if path not in current and state_modes.is_directory(path):
                    shutil.rmtree(path)
                elif path not in current:
                    path.unlink()
            self.written.prune(name, self.state / "files" / name)

    def forget(self, name: str) -> None:
        """Remove config and secrets of a container that is gone. Its data stays."""
        shutil.rmtree(self.state / "files" / name, ignore_errors=True)
        self.loaded.forget(name)
        self.made.forget(name)
        self.written.forget(name)


def contents(directory: Path) -> dict[str, str]:
    """Return the files of a directory and of those below it: path -> text. What holds no text is no file of ours."""
    found: dict[str, str] = {}
    for path in directory.rglob("*"):
        with contextlib.suppress(UnicodeDecodeError):
            if path.is_file():
                found[str(path.relative_to(directory))] = path.read_text()
    return found


def in_the_way(directory: Path, top: Path) -> Path | None:
    """Return what is in place of a directory or of one that it is in, up to one that stays as it is; None for nothing.

    It may be somebody's data under a wrong name, so nobody may delete it.
    """
    places = [one for one in reversed((directory, *directory.parents)) if top in one.parents]
    return next((one for one in places if os.path.lexists(one) and not one.is_dir()), None)


def aside(path: Path) -> Path:
    """Return a free name beside something, under which it can be kept."""
    names = (path.with_name(f"{path.name}.aside-{number}") for number in itertools.count(1))
    return next(one for one in names if not os.path.lexists(one))


def make_directory(directory: Path, top: Path) -> None:
    """Make a directory and those that it is in; what is in the way is kept beside it."""
    while other := in_the_way(directory, top):
        other.rename(aside(other))
    directory.mkdir(parents=True, exist_ok=True, mode=state_modes.PRIVATE)


def taken(directory: Path, spec: Spec) -> tuple[Path, state_modes.Owner] | None:
    """Return a directory for data, or something in it, that its user does not own, and its owner; None for nothing.

    A container that runs as root may give what it makes to anybody.
    """
    found, user = directory.stat(), state_modes.owner_of(spec)
    if (found.st_uid, found.st_gid) != user:
        return directory, (found.st_uid, found.st_gid)
    return state_modes.foreign(directory, user[0]) if user[0] else None


def changed(path: Path) -> float:
    """Return when a file was changed last; where it is gone, when its nearest directory was."""
    while not path.exists():
        path = path.parent
    return path.stat().st_ctime


def strangers(directory: Directory) -> list[Path]:
    """List the files of a directory that nothing declares."""
    if not directory.path.is_dir():
        return []
    return sorted(
        path
        for path in directory.path.rglob("*")
        if not path.is_dir() and str(path.relative_to(directory.path)) not in directory.files
    )
