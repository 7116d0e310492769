"""The checkers of `./sse test lint`: each name with the command that it runs, in the root of the repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("plugins", "app/sse_app", "clients/python/sse_client", "tools")
# What other checkers here ask as strictly or more so: in CI this takes a third of the time. tools/sanity.py asks all.
SANITY_OF_OTHERS = ("pylint", "pep8", "yamllint", "shellcheck", "pslint")
SHELLS = {b"sh", b"bash", b"dash"}


def sources(*paths: str) -> list[str]:
    """Return the project's files below these paths: tracked ones, and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


def is_shell(name: str) -> bool:
    """Tell a shell script by its first line."""
    with (ROOT / name).open("rb") as file:
        first = file.readline(40)
    return first.startswith(b"#!") and first.split()[-1].rsplit(b"/", 1)[-1] in SHELLS


def product(files: list[str]) -> list[str]:
    """Return the files that may hold a secret of ours by mistake: no test, no lock with hashes, no picture."""
    tests = ("tests/", "app/tests/", "clients/python/tests/", "bench/")
    locks = ("requirements", "package-lock", "CHANGELOG")
    kept = (name for name in files if not name.startswith(tests) and not Path(name).name.startswith(locks))
    return [name for name in kept if Path(name).suffix not in {".svg", ".png"}]


def checkers() -> dict[str, list[str]]:
    """Return every command by name. Two run at a time, so the slowest comes first."""
    files = sources()
    return {
        "ansible-test sanity": [sys.executable, "tools/sanity.py", *(f"--skip-test={one}" for one in SANITY_OF_OTHERS)],
        "documentation": [sys.executable, "tools/docs_site.py"],
        "ansible-lint": ["ansible-lint", "--nocolor", "-q"],
        "pyright": ["pyright"],
        # The names of secrets are no secrets: tests look for their values in everything that is written anywhere.
        "detect-secrets": ["detect-secrets-hook", "--disable-plugin", "KeywordDetector", *product(files)],
        "bandit": ["bandit", "--quiet", "--configfile=pyproject.toml", "-r", *SHIPPED],
        "ruff check": ["ruff", "check", "."],
        "ruff format": ["ruff", "format", "--check", "."],
        "yamllint": ["yamllint", "--strict", "."],
        "antsibull-changelog": ["antsibull-changelog", "lint"],
        "shellcheck": ["shellcheck", *(name for name in files if is_shell(name))],
        "hadolint": ["hadolint", *(name for name in files if Path(name).name.startswith("Dockerfile"))],
    }
