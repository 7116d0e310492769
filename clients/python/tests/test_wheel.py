"""The package is built and installed from the checkout, and works where nothing else is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from strange_server import Server, stream

PACKAGE = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 120
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
PROGRAM = """
import sys
from sse_client import Client, Message
with Client(sys.argv[1]) as client, client.stream("c") as stream:
    print(next(stream))
names = {}
exec("from sse_client import *", names)
print("Client" in names, "AsyncClient" in names)
try:
    from sse_client import AsyncClient
except ImportError as error:
    print(error)
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with the pinned builder of the test environment, from what git knows: nothing is downloaded."""
    place = tmp_path_factory.mktemp("wheel")
    copy = shutil.copytree(PACKAGE, place / "package", ignore=shutil.ignore_patterns("__pycache__", "tests", ".*"))
    run(*PIP, "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation", "-w", ".", copy, cwd=place)
    [built] = place.glob("*.whl")
    return built


def test_the_wheel_holds_the_typed_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if ".dist-info/" not in name}
        [metadata] = [name for name in opened.namelist() if name.endswith("/METADATA")]
        about = opened.read(metadata).decode()
    expected = {f"sse_client/{path.name}" for path in (PACKAGE / "sse_client").iterdir() if path.is_file()}
    assert held == expected
    assert "sse_client/py.typed" in held
    needed = [line for line in about.splitlines() if line.startswith("Requires-Dist")]
    assert len(needed) == 1
    assert "extra ==" in needed[0]


def test_it_works_in_a_fresh_environment_and_says_what_asyncio_needs(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "fresh", with_pip=False)
    python = tmp_path / "fresh/bin/python"
    run(*PIP, "--python", python, "install", "-q", "--no-index", wheel, cwd=tmp_path)
    with Server([stream("id: 1-a\ndata: x\n\n")]) as server:
        printed = run(python, "-I", "-c", PROGRAM, server.url, cwd=tmp_path)
    said = "AsyncClient needs httpx: pip install 'sse-platform-client[async]'"
    assert printed.splitlines() == ["Message(event='message', data='x', id='1-a')", "True False", said]
