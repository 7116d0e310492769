# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The code that modules run from, as the controller carries it to a host, which keeps it (`host/kept_code.py`)."""

from __future__ import annotations

import functools
import inspect
import json
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.module_utils._internal._ansiballz import _loader
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.release import __author__, __version__
from ansible_collections.sse.platform.plugins.module_utils.host import kept_code

COLLECTION = Path(__file__).resolve().parents[2]
PACKAGE = "ansible_collections/sse/platform/plugins"
MODULES = f"{PACKAGE.replace('/', '.')}.modules"
# What Ansible itself sends for `ansible/__init__.py`: some of it is made for the place where it runs.
HEAD = f"__version__ = {__version__!r}\n__author__ = {__author__!r}\n".encode()
# Parts of Ansible that no module of this collection imports, and that are half of it.
LEFT_OUT = ("facts", "csharp", "powershell", "testing")
PROFILE = "legacy"  # how arguments and results are written as JSON; Ansible takes it where a module names no other


@functools.cache
def files() -> dict[str, bytes]:
    """Return all files by their paths: what modules may import of Ansible, and this collection's own."""
    found = {"ansible/__init__.py": HEAD}
    for path in ansible.module_utils.__path__:
        found |= _sources(Path(path), "ansible/module_utils", LEFT_OUT)
    for name in ("module_utils", "modules"):
        found |= _sources(COLLECTION / "plugins" / name, f"{PACKAGE}/{name}")
    return found


@functools.cache
def version() -> str:
    """Return the hash of all files."""
    return kept_code.digest(files())


@functools.cache
def packed() -> bytes:
    """Return all files as they are sent."""
    return kept_code.packed(files())


@functools.cache
def fits() -> bool:
    """Tell whether this version of Ansible starts a module as `kept_code.run` does; it is no interface of Ansible's."""
    taken = inspect.signature(_loader.run_module).parameters
    return {"json_params", "profile", "module_fqn", "modlib_path", "extensions"} <= set(taken)


def script(module: str, arguments: dict[str, Any], *, brings: bool) -> bytes:
    """Return the program that runs a module on a host.

    :param arguments: as Ansible gives them to the module
    :param brings: whether it brings the code to keep
    """
    encoder = get_module_encoder(PROFILE, Direction.CONTROLLER_TO_MODULE)
    encoded = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}, cls=encoder)
    given = (version(), f"{MODULES}.{module}", encoded, PROFILE, packed() if brings else None)
    return f"{_program()}\n\nrun{given!r}\n".encode()


@functools.cache
def _program() -> str:
    return inspect.getsource(kept_code)


def _sources(root: Path, below: str, left_out: tuple[str, ...] = ()) -> dict[str, bytes]:
    relative = ((path, path.relative_to(root)) for path in root.rglob("*.py"))
    return {f"{below}/{one.as_posix()}": path.read_bytes() for path, one in relative if one.parts[0] not in left_out}
