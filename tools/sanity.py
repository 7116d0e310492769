"""Run `ansible-test sanity [OPTION...]` over what Ansible reads of this collection; `./sse test lint` calls this."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lint import ROOT, sources

# ansible-test accepts a collection only in a directory of this name, so it gets a copy there.
PLACE = "ansible_collections/sse/platform"
# The service, the dashboard, the benchmarks and these tools are programs of their own. Their own checkers read them.
READ_BY_ANSIBLE = (
    "changelogs",
    "galaxy.yml",
    "meta",
    "playbooks",
    "plugins",
    "roles",
    "tests/config.yml",
    "tests/sanity",
)
# ansible-test keeps its Python environments in the home directory. This one is ignored by git and by the build.
HOME = ROOT / ".ansible/test/home"
# ansible-test downloads get-pip.py from its own server. Python brings the same with it: this file takes its place.
GET_PIP = HOME / ".ansible/test/cache/get_pip_24_2.py"


def prepare_home() -> None:
    """Hand over what a changed home directory and a cleared environment would hide from pip: where packages are."""
    GET_PIP.parent.mkdir(parents=True, exist_ok=True)
    GET_PIP.write_text("import ensurepip\n\nensurepip.bootstrap()\n")
    if not (HOME / ".config").exists():
        (HOME / ".config").symlink_to(Path.home() / ".config")
    options = {name[4:].lower().replace("_", "-"): value for name, value in os.environ.items() if name[:4] == "PIP_"}
    if proxy := os.environ.get("https_proxy"):
        options.setdefault("proxy", proxy)
    (HOME / ".pip").mkdir(mode=0o700, exist_ok=True)
    lines = "".join(f"{name} = {value}\n" for name, value in options.items())
    (HOME / ".pip/pip.conf").write_text(f"[global]\n{lines}")


def main() -> int:
    """Copy what Ansible reads, run the sanity tests for this Python, and return the exit code."""
    prepare_home()
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / PLACE
        for name in sources(*READ_BY_ANSIBLE):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        command = ["ansible-test", "sanity", "--color", "no", "--python", version, *sys.argv[1:]]
        return subprocess.run(command, cwd=copy, env=os.environ | {"HOME": str(HOME)}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
