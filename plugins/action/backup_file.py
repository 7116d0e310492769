# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Write and read the file of a backup on the controller, where the passphrase is."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail, AnsiblePromptNoninteractive
from ansible.utils.display import Display
from ansible_collections.sse.platform.plugins.module_utils.deploy import backup_package, run_lock
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import BackupError, refuse_full_disk
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup_contents import backup_data
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup_share import joined
from ansible_collections.sse.platform.plugins.plugin_utils import backup_file
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import ControllerAction

PREFIX = "sse-restore-"
STATE = ".state"  # ends the name of a directory beside a backup, for its archive
RUN = "run"  # names the process of ansible-playbook, which is the parent of this one


def at_home(path: str) -> Path:
    """Return a path where ~ is a home directory; of a user that is not known, it stays as it is written."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises then


def private_directory() -> Path:
    """Make a directory that only this user can read, and that says which run it belongs to."""
    made = Path(tempfile.mkdtemp(prefix=PREFIX))
    (made / RUN).write_text(run_lock.process(os.getppid()))
    return made


def remove_left_over() -> None:
    """Remove such directories of runs that were killed: they hold data and hashes of keys."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{RUN}"):
        with contextlib.suppress(OSError):
            pid, __, start = path.read_text().partition(":")
            if path.parent.stat().st_uid == os.getuid() and run_lock.started(pid) != start:
                shutil.rmtree(path.parent, ignore_errors=True)


class ActionModule(ControllerAction):
    """Decides where a backup is, packs it, and opens it."""

    OPTIONS: ClassVar = {
        "state": {"type": "str", "required": True, "choices": ["ready", "fitting", "packed", "opened", "closed"]},
        "path": {"type": "str", "default": ""},
        "passphrase_file": {"type": "str", "default": ""},
        "written": {"type": "dict"},
        "parts": {"type": "dict"},
        "together": {"type": "bool", "default": False},
        "archive": {"type": "str", "default": ""},
        "archive_bytes": {"type": "int", "default": 0},
        "temporary": {"type": "bool", "default": False},
    }

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do what the state says."""
        try:
            return getattr(self, f"_{arguments['state']}")(arguments)
        except BackupError as error:
            raise AnsibleActionFail(f"{error}. Nothing was changed.") from None

    def _ready(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Refuse what would fail later; return the path of the backup and where its archive goes meanwhile."""
        made = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        settings = self.variable("settings")
        hosts = [] if arguments["together"] else self.variables["ansible_play_hosts"]
        if arguments["path"] and len(hosts) > 1:
            raise BackupError(f"one file cannot hold the stacks of {', '.join(hosts)}: choose one host with --limit")
        where = f"-{self.variables['inventory_hostname']}" if len(hosts) > 1 else ""
        name = f"{settings['stack_name']}{where}-{made}.backup"
        path = at_home(arguments["path"] or name).absolute()
        if arguments["temporary"]:
            path = private_directory() / name
        backup_file.refuse_target(path)
        self._passphrase(arguments)
        return {"path": str(path), "archive": str(path.with_name(f".{path.name}{STATE}") / "state.tar.gz")}

    def _fitting(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Refuse a disk without room for the archive and for the backup, which are there at the same time.

        Then make the directory of the archive: what fetches files lets others read them.
        """
        refuse_full_disk(Path(arguments["path"]).parent, 2 * arguments["archive_bytes"])
        directory = Path(arguments["archive"]).parent
        shutil.rmtree(directory, ignore_errors=True)  # of a run that was killed
        try:
            directory.mkdir(mode=0o700)
        except OSError as error:
            raise BackupError(f"{directory} can't be made ({error.strerror}): remove what is there") from None
        return {}

    def _packed(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Write the file."""
        archive, written, path = Path(arguments["archive"]), arguments["written"], Path(arguments["path"])
        parts = {f"{archive}.{host}": one for host, one in (arguments["parts"] or {}).items()}
        if parts:
            written = joined(parts, archive)
        backup_package.pack(path, written["manifest"], written["secrets"], archive, self._passphrase(arguments))
        manifest, size = written["manifest"], path.stat().st_size
        numbers = ", ".join(f"{project} {number}" for project, number in manifest["numbers"].items())
        left_out = f", without the data of {', '.join(manifest['left_out'])}" if manifest["left_out"] else ""
        return {
            "changed": True,
            "lines": [
                f"Backup of stack {manifest['stack']}: {path} ({size / 1e6:.1f} MB{left_out})",
                f"It holds the data, the secrets (encrypted by your passphrase) and the releases ({numbers}).",
                *(f"NOT IN IT: {one}. Back that up where it is." for one in manifest.get("elsewhere", [])),
                "Keep the passphrase: without it nobody can restore the secrets.",
            ],
        }

    def _opened(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Check the file, and unpack its archive beside nothing else."""
        path = at_home(arguments["path"]).absolute()
        if not path.is_file():
            raise BackupError(f"{path} is no file: expected a backup that ./sse backup wrote")
        target = private_directory()
        try:
            archive = target / "state.tar.gz"
            manifest, secrets = backup_file.unpack(path, self._passphrase(arguments), target)
            data = backup_data(archive, manifest)
        except BaseException:
            shutil.rmtree(target)
            raise
        return {
            "manifest": manifest,
            "secrets": secrets,
            "data": data,
            "archive": str(archive),
            "archive_bytes": archive.stat().st_size,
            "directory": str(target),
            "_ansible_no_log": True,
        }

    def _closed(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Remove what `opened` unpacked or `fitting` made, and what earlier runs left that were killed."""
        directory = Path(arguments["archive"] or arguments["path"]).parent
        is_ours = directory.name.startswith(".") and directory.name.endswith(STATE) and bool(arguments["archive"])
        if is_ours or directory.name.startswith(PREFIX):
            shutil.rmtree(directory, ignore_errors=True)
        remove_left_over()
        return {}

    def _passphrase(self, arguments: dict[str, Any]) -> str:
        """Return the passphrase: from the environment, from a file, or from the terminal; never from an argument."""
        if given := os.environ.get(backup_package.VARIABLE):
            return backup_package.checked(given)
        if path := arguments["passphrase_file"]:
            try:
                return backup_package.checked(at_home(path).read_text().rstrip("\n"))
            except OSError as error:
                raise BackupError(f"backup_passphrase_file is {path!r}: it can't be read ({error.strerror})") from None
            except UnicodeDecodeError:  # whose message would hold a part of it
                raise BackupError(
                    f"backup_passphrase_file is {path!r}: it holds something else than UTF-8; expected a text"
                ) from None
        try:
            typed = Display().prompt_until("Passphrase of the backup: ", private=True)
        except AnsiblePromptNoninteractive:
            return backup_package.checked("")
        return backup_package.checked(typed.decode().rstrip("\r\n"))
