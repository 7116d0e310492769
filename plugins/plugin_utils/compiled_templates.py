# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Templates of this collection, compiled once for all runs of a user.

Only the code of texts is kept that stand in files of this collection, never a value that went into a template. What
Jinja makes of a text depends on the text, on how the environment reads it, and on the versions of Jinja, Ansible and
Python.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import sys
import tempfile
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

import jinja2
from ansible import constants
from ansible._internal._datatag._tags import Origin
from ansible.release import __version__
from ansible_collections.sse.platform.plugins.plugin_utils.carried_code import COLLECTION

if TYPE_CHECKING:
    from collections.abc import Generator

# How an environment reads a text (jinja2.Environment); Ansible changes some of these for single templates.
READS = (
    *("block_start_string", "block_end_string", "variable_start_string", "variable_end_string"),
    *("comment_start_string", "comment_end_string", "line_statement_prefix", "line_comment_prefix"),
    *("trim_blocks", "lstrip_blocks", "newline_sequence", "keep_trailing_newline"),
)
OURS = (f"{COLLECTION}/roles/", f"{Path(__file__).parents[2]}/roles/")  # which may be a link to the same
MOST = 2000  # texts; a checkout has some hundred, and those of its earlier versions go when there are more


def place() -> Path:
    """Return the file that keeps the code, among the files of Ansible that belong to this user alone."""
    return Path(constants.config.get_config_value("ANSIBLE_HOME"), f"sse-templates.{sys.implementation.cache_tag}")


@contextlib.contextmanager
def kept(file: Path | None = None) -> Generator[None]:
    """Take the code of templates from a file as long as the block runs, and add to the file what it lacks."""
    file = file or place()
    environment: Any = None
    escaping: Any = None
    with contextlib.suppress(ImportError):  # these are no interface of Ansible's
        from ansible._internal._templating import _jinja_bits  # noqa: PLC0415

        environment, escaping = _jinja_bits.AnsibleEnvironment, _jinja_bits._TemplateCompileContext  # noqa: SLF001
    if environment is None:
        yield
        return
    codes, new = read(file), dict[str, bytes]()
    compiles: Any = jinja2.Environment.compile

    def compile_once(self: Any, source: Any, name: Any = None, filename: Any = None, **more: Any) -> Any:
        origin = filename or getattr(Origin.get_tag(source), "path", None) or ""
        if not isinstance(source, str) or more or not str(origin).startswith(OURS):
            return compiles(self, source, name, filename, **more)
        context = escaping.current(optional=True)
        how = [name, filename, context and context.escape_backslashes, *(getattr(self, one) for one in READS)]
        key = hashlib.sha256(repr((str(source), how)).encode()).hexdigest()
        known = codes.get(key) or new.get(key)
        if known is None:
            code: CodeType = compiles(self, source, name, filename)
            new[key] = marshal.dumps(code)
            return code
        return marshal.loads(known)  # whoever writes there is this user  # noqa: S302  # nosec B302

    environment.compile = compile_once
    try:
        yield
    finally:
        del environment.compile
        if new:
            write(file, {**(codes if len(codes) < MOST else {}), **new})


def versions() -> str:
    """Name the versions that the code is for; the name of the file says that of Python."""
    return f"{__version__} {jinja2.__version__}"


def read(file: Path) -> dict[str, bytes]:
    """Read the code of every text; empty where there is none, it is of another version, or others could write it."""
    try:
        with file.open("rb") as stream:
            status = os.fstat(stream.fileno())
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                return {}
            found: Any = marshal.loads(stream.read())  # as above  # noqa: S302  # nosec B302
    except (OSError, EOFError, ValueError, TypeError):
        return {}
    return found["codes"] if isinstance(found, dict) and found.get("versions") == versions() else {}


def write(file: Path, codes: dict[str, bytes]) -> None:
    """Write the file whole; where that is not allowed, the next run compiles again."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(0o700, parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(marshal.dumps({"versions": versions(), "codes": codes}))
        Path(made).replace(file)
