"""How every tool is told of a host: the options of Ansible, and passwords that are asked for once."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import fcntl
import getpass
import os
import pty
import secrets
import shutil
import subprocess
import sys
import tempfile
import termios
from typing import Any

ADVICE = "Add -K, which asks for it, or set ansible_become_password in a vaulted file of the inventory."
MARK = f"[sse {secrets.token_hex(8)}]"  # how sudo asks, so that its question is told from everything else
# What asks for a password, and the option of Ansible that reads it from a file instead.
ASKED = {
    "ask_become_pass": ("password of sudo", "--become-password-file"),
    "ask_vault_password": ("password of the vault", "--vault-password-file"),
    "ask_pass": ("password of SSH", "--connection-password-file"),
}


class Passed(argparse.Action):
    """An option that is Ansible's own, and is handed on to it."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        """Keep the option with its value."""
        namespace.passed = [*namespace.passed, str(option), str(values)]


def add_options(parser: argparse.ArgumentParser, own: frozenset[str]) -> None:
    """Add the options by which Ansible finds a host and reaches it.

    :param own: names that are an option of the verb instead
    """
    add = parser.add_argument
    parser.set_defaults(passed=[])
    add(
        *("-i", "--inventory", "--inventory-file"),
        action="append",
        default=[],
        help="use this inventory; may be given several times\n"
        "(default: ANSIBLE_INVENTORY, or inventory/local, which is this machine)",
    )
    add("-l", "--limit", help="choose this host of an inventory that has several")
    add("-e", "--extra-vars", action="append", default=[], help="set a variable, as in -e stack_name=demo")
    add("-K", "--ask-become-pass", action="store_true", help="ask for the password of sudo")
    add(
        *("-J", "--ask-vault-pass", "--ask-vault-password"),
        dest="ask_vault_password",
        action="store_true",
        help="ask for the password of the vault",
    )
    add("-k", "--ask-pass", action="store_true", help="ask for the password of SSH")
    group = parser.add_argument_group("options of Ansible, as for ansible-playbook")
    for names in (
        *(("--vault-id",), ("--vault-password-file", "--vault-pass-file")),
        *(("--become-password-file", "--become-pass-file"), ("--connection-password-file", "--conn-pass-file")),
        *(("--private-key", "--key-file"), ("--ssh-common-args",), ("--ssh-extra-args",), ("-c", "--connection")),
        *(("-T", "--timeout"), ("-u", "--user")),
    ):
        left = [name for name in names if name not in own]
        if left:
            group.add_argument(*left, action=Passed, metavar="VALUE")


def words(options: argparse.Namespace) -> list[str]:
    """Return the words for Ansible. What it would ask for is asked here, once for all of its runs."""
    found = list(options.passed)
    for name, (what, flag) in ASKED.items():
        if getattr(options, name):
            options.passed = [*options.passed, flag, kept(prompt(f"{what}: "))]
            setattr(options, name, False)
            found = list(options.passed)
    return found


def has_password(options: argparse.Namespace) -> bool:
    """Tell whether the password of sudo was given or is asked for."""
    return options.ask_become_pass or any("become" in word for word in options.passed)


def ask(options: argparse.Namespace, host: str, user: str) -> str:
    """Return the password of sudo, where somebody can be asked.

    :raises SystemExit: with what to do where nobody can
    """
    if not sys.stdin.isatty():
        raise SystemExit(f"sse: sudo on {host} asks {user} for a password, and there is no terminal. {ADVICE}")
    given = prompt(f"password of sudo for {user} on {host}: ")
    options.passed = [*options.passed, "--become-password-file", kept(given)]
    return given


def prompt(text: str) -> str:
    """Ask for a password."""
    try:
        return getpass.getpass(text)
    except (EOFError, KeyboardInterrupt):
        raise SystemExit("sse: no password was given, so nothing was done.") from None


def kept(text: str) -> str:
    """Return a file with a password, which only its owner reads, and which goes when this program ends."""
    # After su, and in WSL2, the variable may name a directory that is not there, or that is somebody else's.
    memory = os.environ.get("XDG_RUNTIME_DIR", "")
    place = memory if os.access(memory, os.W_OK | os.X_OK) else None
    descriptor, path = tempfile.mkstemp(prefix="sse-", dir=place)
    atexit.register(remove, path)
    with open(descriptor, "w") as file:  # noqa: PTH123 - it is open
        file.write(text + "\n")
    return path


def remove(path: str) -> None:
    """Remove a file, unless it is gone."""
    if os.path.exists(path):  # noqa: PTH110 - as plain as can be at the end of a program
        os.unlink(path)  # noqa: PTH108


def prompting(terminal: bool) -> tuple[str, ...]:
    """Return the options with which sudo takes a password from us, whatever it remembers."""
    return ("-k", "-p", MARK) if terminal else ("-k", "-S", "-p", "")


def with_input(command: list[str], password: str) -> int:
    """Run a command that reads a password first, and then what this program reads; return its exit code."""
    child = subprocess.Popen(command, stdin=subprocess.PIPE)
    if child.stdin is None:
        raise AssertionError
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(f"{password}\n".encode())
        child.stdin.flush()
        shutil.copyfileobj(sys.stdin.buffer, child.stdin)
    with contextlib.suppress(BrokenPipeError):
        child.stdin.close()
    return child.wait()


def at_terminal(command: list[str], password: str) -> int:
    """Run a command at the terminal, and answer sudo once when it asks; return the exit code."""
    waiting = [password]

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 4096)
        if waiting and MARK.encode() in data:
            os.write(descriptor, f"{waiting.pop()}\n".encode())
            data = data.replace(MARK.encode(), b"") or b"\r"
        resize(descriptor)
        return data

    return os.waitstatus_to_exitcode(pty.spawn(command, read))


def resize(descriptor: int) -> None:
    """Give a terminal the size of ours."""
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, size)
