"""Make the pictures of the documentation that show a terminal and the topology: python tests/pictures.py.

It needs root and Docker. It brings up a stack of its own with the default settings, draws what it shows, and removes
the stack. The pictures of the control room are those with which its browser tests compare the page.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

import terminal  # noqa: E402 - it is found only now

IMAGES = ROOT / "docs/images"
STACK, OFFSET = "docs", 1700
PORTS = (80, 443, 3000, 3001, 6379, 9090, 9092, 9093, 9094)
# What a person types, by the name of its picture.
TERMINALS = {"up": "./sse up", "status": "./sse status", "doctor": "./sse doctor"}
GIVEN = ("-e", f"stack_name={STACK}", "-e", f"stack_offset={OFFSET}")


def call(verb: str, *more: str, given: tuple[str, ...] = GIVEN) -> list[str]:
    """Return the command line of a verb, behind the launcher."""
    return [sys.executable, str(ROOT / "tools/front.py"), verb, *given, *more]


def environment() -> dict[str, str]:
    """Return what the launcher sets."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8", "PATH": path}


def usual(stack: str, offset: int = OFFSET) -> dict[str, str]:
    """Return by which patterns the names of a stack become those of a stack with default settings."""
    ports = {rf"(?<![\d.]){port + offset}\b": str(port) for port in PORTS}
    return {
        rf"\b{stack}-": "sse-",
        rf"stack '{stack}'": "stack 'sse'",
        rf"\b{stack}\b(?= )": "sse",
        **ports,
        r"\b10\.\d+\.\d+\.(?=\d)": "10.99.0.",
        re.escape(str(ROOT)): "~/sse.platform",
    }


def picture(name: str, theme: str) -> Path:
    """Return where a picture is."""
    return IMAGES / f"{name}-{theme}.svg"


def draw(name: str, recording: terminal.Recording) -> None:
    """Write a recording in both themes."""
    for theme in terminal.THEMES:
        picture(f"terminal-{name}", theme).write_text(terminal.svg(recording, theme))


def main() -> int:
    """Make them all."""
    remove = call("destroy", "--yes", "-e", "stack_delete_data=true")
    quiet = {"cwd": ROOT, "env": environment(), "stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    subprocess.run(remove, check=False, **quiet)  # pyright: ignore[reportArgumentType, reportCallIssue]
    try:
        for name, shown in TERMINALS.items():
            recording = terminal.record(shown, call(name), ROOT, environment())
            if recording.code:
                raise SystemExit(f"{shown} ended with {recording.code}:\n{recording.output}")
            draw(name, terminal.exchanged(recording, usual(STACK)))
        drawn = str(subprocess.run(call("diagram", "--svg"), check=True, **quiet).stdout)  # pyright: ignore[reportArgumentType, reportCallIssue]
        for theme in terminal.THEMES:
            picture("topology", theme).write_text(themed(terminal.replaced(drawn, usual(STACK)), theme))
    finally:
        subprocess.run(remove, check=False, **quiet)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return 0


def themed(svg: str, theme: str) -> str:
    """Return a drawing that follows the system as one that has one theme, because a reader may choose another one."""
    wanted = r"\1" if theme == "dark" else ""
    return re.sub(r"@media \(prefers-color-scheme: dark\) ?\{((?:[^{}]*\{[^{}]*\})*\s*)\}", wanted, svg)


if __name__ == "__main__":
    sys.exit(main())
