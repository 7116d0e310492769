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

import recording  # noqa: E402 - it is found only now

IMAGES = ROOT / "docs/images"
STACK, OFFSET = "doc", 1700  # a name as long as the usual one, so that columns stay columns
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
        rf"\b{stack}-performance-dashboard(?=  )": "performance-dashboard".ljust(len(stack) + 22),
        rf"\b{stack}-performance-dashb(oard|…)": "performance-dashboard",
        rf"\b{stack}-": "sse-",
        rf"\bSSE-{stack}\b": "SSE-sse",
        rf"stack '{stack}'": "stack 'sse'",
        rf"\b{stack}\b(?= |, release)": "sse",
        **ports,
        r"\b10\.\d+\.\d+\.(?=\d|…)": "10.99.0.",
        re.escape(str(ROOT)): "~/sse.platform",
    }


def picture(name: str, theme: str) -> Path:
    """Return where a picture is."""
    return IMAGES / f"{name}-{theme}.svg"


def draw(name: str, run: recording.Recording) -> None:
    """Write a recording in both themes."""
    for theme in recording.THEMES:
        picture(f"terminal-{name}", theme).write_text(recording.svg(run, theme))


def quietly(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that is in no picture."""
    return subprocess.run(
        command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def main() -> int:
    """Make them all."""
    remove = call("destroy", "--yes", "-e", "stack_delete_data=true")
    quietly(*remove)
    try:
        for name, shown in TERMINALS.items():
            run = recording.record(shown, call(name), ROOT, environment())
            if name == "up" and "Build " in run.output:  # a picture of a run that has its images is shorter
                quietly(*remove)
                run = recording.record(shown, call(name), ROOT, environment())
            if run.code:
                raise SystemExit(f"{shown} ended with {run.code}:\n{run.output}")
            draw(name, recording.exchanged(run, usual(STACK)))
        drawn = recording.replaced(quietly(*call("diagram", "--svg")).stdout, usual(STACK))
        for theme in recording.THEMES:
            picture("topology", theme).write_text(themed(drawn, theme))
    finally:
        quietly(*remove)
    return 0


def themed(svg: str, theme: str) -> str:
    """Return a drawing that follows the system as one that has one theme, because a reader may choose another one."""
    wanted = r"\1" if theme == "dark" else ""
    return re.sub(r"@media \(prefers-color-scheme: dark\) ?\{((?:[^{}]*\{[^{}]*\})*\s*)\}", wanted, svg)


if __name__ == "__main__":
    sys.exit(main())
