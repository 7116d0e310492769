"""What a user's environment holds for Ansible, and whether sudo can run: looked at before anything begins."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

# How a host is reached, secrets, and what is shown: these variables of a user are kept.
KEPT = re.compile(
    r"ANSIBLE_(CONFIG|HOME|INVENTORY|LOCAL_TEMP|REMOTE_TEMP|LOG_PATH|TIMEOUT|FORKS|DEBUG|VERBOSITY|NOCOLOR|FORCE_COLOR|"
    r"DIFF_ALWAYS|KEEP_REMOTE_FILES|HOST_KEY_CHECKING|PRIVATE_KEY_FILE|ASK_\w+|BECOME_\w+|SSH_\w+|SCP_\w+|SFTP_\w+|"
    r"PARAMIKO_\w+|REMOTE_(USER|PORT)|VAULT_\w+|CONNECTION_PASSWORD_FILE|PERSISTENT_\w+|CALLBACKS_ENABLED|COLOR_\w+)"
)
# Numbers that Ansible reads before it can say what is wrong.
NUMBERS = re.compile(r"ANSIBLE_(FORKS|TIMEOUT|VERBOSITY|REMOTE_PORT|PERSISTENT_\w+_TIMEOUT)")
SCREEN = "SSE_SCREEN"  # names a stdout callback of Ansible, such as `default` or `minimal`
SUDO_SECONDS = 15  # more than the time-out of a name server
# What sudo says where it runs for nobody, whatever password is given: sudo's sudo.c, logging.c and pam.c, and sudo-rs'
# common/error.rs.
CANNOT = re.compile(
    r"no new privileges|setuid|must be owned by uid|not in the sudoers|may not run sudo|not allowed to|unknown user|"
    r"you do not exist|unable to (open|read|stat|initialize)|syntax error|no valid sudoers|"
    r"you must have a tty|effective uid|Permission denied|cannot execute|afraid I can't do that|invalid configuration|"
    r"account validation failure|is expired|account expired|PAM account",
    re.IGNORECASE,
)


class Sudo(NamedTuple):
    """Whether sudo runs here: silently, with a password, or not at all and why."""

    state: Literal["silent", "password", "impossible"]
    why: str = ""


def clean(environment: MutableMapping[str, str]) -> list[str]:
    """Take out what a user exported for other projects of Ansible; return the names.

    Ansible prefers such a variable to ansible.cfg of this checkout, so it would not find its collection or its screen.
    Who wants another screen than the usual one names it in a variable of our own.
    """
    found = sorted(name for name in environment if name.startswith("ANSIBLE_") and not KEPT.fullmatch(name))
    for name in found:
        del environment[name]
    if screen := environment.get(SCREEN):
        environment["ANSIBLE_STDOUT_CALLBACK"] = screen
    return found


def unusable(environment: Mapping[str, str]) -> str:
    """Say which variable of a user ends Ansible at its start, and what it expects; empty where none does."""
    for name, value in environment.items():
        if NUMBERS.fullmatch(name) and value and not _is_number(value):
            return f"{name} is {value!r}: expected a number. Set it, or unset {name}. Nothing was done."
    home = environment.get("ANSIBLE_HOME")
    try:
        if home:
            Path(home).expanduser().mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", "") or error
        return f"ANSIBLE_HOME is {home!r}: expected a directory ({why}). Set it, or unset it. Nothing was done."
    return ""


def _is_number(text: str) -> bool:
    try:
        return float(text).is_integer()
    except ValueError:
        return False


def sudo() -> Sudo:
    """Try sudo: -k, because Ansible cannot use a password that the terminal remembers."""
    if os.geteuid() == 0:
        return Sudo("silent")
    try:
        tried = subprocess.run(
            ["sudo", "-kn", "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=SUDO_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        return Sudo("impossible", "sudo is not installed")
    except subprocess.TimeoutExpired:
        return Sudo("impossible", f"sudo does not answer within {SUDO_SECONDS} s: does this machine resolve its name?")
    except OSError as error:
        return Sudo("impossible", f"sudo: {error.strerror}")
    if tried.returncode == 0:
        return Sudo("silent")
    said = [line for line in tried.stderr.splitlines() if CANNOT.search(line)]
    return Sudo("impossible", said[0].strip()) if said else Sudo("password")


def refusal(why: str) -> str:
    """Say that a verb needs root, and how to give it that."""
    return (
        f"this needs root on this machine, and sudo cannot run: {why}. Expected a user for whom sudo runs. Log in as "
        "root, or as such a user (usermod -aG sudo NAME, as root), or choose another host with -i."
    )
