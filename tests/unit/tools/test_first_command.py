"""The first command on somebody's machine: it works, or says within seconds what is in its way.

Each row runs the launcher in a checkout of its own, whose Python environment is a stand-in.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import install
import pytest
import strange_hosts
import surroundings
import yaml

ROOT = strange_hosts.ROOT
FRONT = """
import json, os, sys
print(json.dumps({"words": sys.argv[1:], "environment": dict(os.environ), "path": sys.path[:2], "here": os.getcwd()}))
"""
# A Python that makes an environment in no time: it is its own pip.
PYTHON = """#!/bin/sh
case "$1 $2" in
-c\\ *) exit 0 ;;
"-m venv") mkdir -p "$4/bin" && cp "$0" "$4/bin/python" && cp "$0" "$4/bin/pip" ;;
*front.py\\ --before) exit 3 ;;
*install.py*) env > "$LOG" ;;
*) exec {real} "$@" ;;
esac
"""


class Ran(NamedTuple):
    code: int
    told: str
    front: dict[str, Any]  # what the front got; empty where it was not reached


class Checkout:
    """A checkout with the launcher, and with a front that tells what reaches it."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root, self.home = root, home
        self.bin = home / "bin"
        self.bin.mkdir(parents=True)
        (root / "tools").mkdir(parents=True)
        for name in ("sse", "tools/surroundings.sh", "tools/gitconfig", "tools/install.py", "tools/bundled"):
            shutil.copy(ROOT / name, root / name)
        (root / "tools" / "front.py").write_text(FRONT)
        (root / "requirements.txt").write_text("ansible==1\n")
        self.environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(home), "LOG": str(home / "log")}

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def prepared(self) -> None:
        """As after the first command."""
        bin_ = self.root / ".venv" / "bin"
        bin_.mkdir(parents=True)
        (bin_ / "python").symlink_to(sys.executable)
        (self.root / ".venv" / ".requirements.txt").write_text(f"{self.root}\nansible==1\n")

    def bare(self) -> None:
        self.program("python3", PYTHON.format(real=sys.executable))

    def run(
        self, *words: str, cwd: Path | None = None, command: str = "", variables: dict[str, str] | None = None
    ) -> Ran:
        ended = subprocess.run(
            [command or str(self.root / "sse"), *(words or ("up",))],
            cwd=cwd or self.home,
            env=self.environment | (variables or {}),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        front: dict[str, Any] = json.loads(ended.stdout) if ended.stdout.startswith("{") else {}
        return Ran(ended.returncode, ended.stderr + ("" if front else ended.stdout), front)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout", tmp_path / "home")


# --- variables of a user


@pytest.mark.parametrize("row", strange_hosts.ENVIRONMENTS, ids=lambda row: row.what)
def test_what_a_user_exported_leads_nothing_astray(checkout: Checkout, row: strange_hosts.Environment) -> None:
    checkout.prepared()
    ran = checkout.run(variables={name: one.replace("HERE", str(checkout.home)) for name, one in row.variables.items()})
    assert ran.code == 0, ran.told
    environment = ran.front["environment"]
    surroundings.clean(environment)  # the front does so first
    for name in row.gone:
        assert name not in environment
    for name, value in row.kept.items():
        assert environment[name] == value.replace("ROOT", str(checkout.root)).replace("HERE", str(checkout.home))
    assert environment["ANSIBLE_CONFIG"] == str(checkout.root / "ansible.cfg")


@pytest.mark.parametrize("pair", strange_hosts.WRONG_VARIABLES)
def test_a_variable_that_ends_ansible_at_its_start_is_refused_with_what_is_expected(pair: str) -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "tools" / "front.py", "status"],
        env={"PATH": os.environ["PATH"], **dict([pair.split("=", 1)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"sse: {strange_hosts.WRONG_VARIABLES[pair]}")


def test_numbers_of_ansible_as_it_takes_them_are_kept() -> None:
    kept = {"ANSIBLE_FORKS": "5", "ANSIBLE_TIMEOUT": "1e1", "ANSIBLE_VERBOSITY": "", "ANSIBLE_REMOTE_PORT": "22.0"}
    assert surroundings.unusable(kept) == ""


def test_a_standard_error_that_is_closed_is_nobodys(checkout: Checkout) -> None:
    checkout.prepared()
    says = "import os, sys; assert sys.stderr; print(os.readlink('/proc/self/fd/2'))"
    (checkout.root / "tools" / "front.py").write_text(says)
    assert checkout.run("-c", f"exec '{checkout.root / 'sse'}' up 2>&-", command="sh").told == "/dev/null\n"


# --- places


def moved(name: str) -> Callable[[Checkout], None]:
    def move(checkout: Checkout) -> None:
        target = checkout.root.with_name(name)
        checkout.root.rename(target)
        checkout.root = target

    return move


def read_only(checkout: Checkout) -> None:
    checkout.root.chmod(0o555)


# What df says, by its option: of blocks, or of inodes.
DF = "#!/bin/sh\nfree=%s\n[ $1 = -Pk ] || free=%s\nprintf 'Filesystem - - -\\n%%s\\n' \"/dev/x %s 900 $free 90%% /\"\n"


def no_room(checkout: Checkout) -> None:
    checkout.program("df", DF % (10240, 10**6, 10**6))


def no_inodes(checkout: Checkout) -> None:
    checkout.program("df", DF % (10**7, 9, 10**6))


def uncounted(checkout: Checkout) -> None:
    checkout.program("df", DF % (10**7, 0, 0))


def noexec(checkout: Checkout) -> None:
    unusable = PYTHON.replace('cp "$0" "$4/bin/pip"', 'cp "$0" "$4/bin/pip" && chmod -x "$4/bin/pip"')
    checkout.program("python3", unusable.format(real=sys.executable))


def windows(checkout: Checkout) -> None:
    path = checkout.root / "sse"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


PLACES: dict[str, Callable[[Checkout], None]] = {
    "a path with spaces": moved("a check out"),
    "a path with a quote": moved('it\'s "mine"'),
    "a path with letters beyond ASCII": moved("prüfung"),
    "a path with a colon": moved("a:b"),
    "a full disk": no_room,
    "a disk with bytes left, and no inodes": no_inodes,
    "a disk that does not count its files, such as btrfs": uncounted,
    "a disk that is mounted noexec": noexec,
}


def test_every_place_of_the_page_is_tried() -> None:
    assert list(PLACES) == list(strange_hosts.PLACES)


@pytest.mark.parametrize("what", PLACES)
def test_a_checkout_works_where_it_lies_or_says_what_is_in_the_way(checkout: Checkout, what: str) -> None:
    said = strange_hosts.PLACES[what]
    code = 1 if said else 0
    checkout.bare()
    PLACES[what](checkout)
    ran = checkout.run()
    assert ran.code == code, ran.told
    assert said in ran.told
    assert "Traceback" not in ran.told
    assert not code or not (checkout.root / ".venv" / ".requirements.txt").exists()


def test_a_clone_with_the_line_ends_of_windows_says_so(checkout: Checkout) -> None:
    windows(checkout)
    ran = checkout.run(str(checkout.root / "sse"), "up", command="sh")
    assert ran.code == 1
    assert "line ends of Windows" in ran.told


def test_a_clone_gets_the_line_ends_of_linux_everywhere(tmp_path: Path) -> None:
    """As a clone by git for Windows, which converts line ends unless the repository says otherwise."""
    source, clone = tmp_path / "source", tmp_path / "clone"
    source.mkdir()
    for name in (".gitattributes", "sse", "tools/bundled"):
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)

    def git(*words: str) -> None:
        own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "PATH": os.environ["PATH"]}
        names = ("-c", "user.name=x", "-c", "user.email=x", "-c", "core.autocrlf=true")
        subprocess.run(["git", *names, *words], cwd=source, check=True, capture_output=True, env=own)

    git("init")
    git("add", ".")
    git("commit", "-m", "x")
    git("clone", str(source), str(clone))
    assert not [
        one for one in clone.rglob("*") if one.is_file() and ".git/" not in str(one) and b"\r" in one.read_bytes()
    ]


def test_a_link_and_another_directory_lead_to_the_same_checkout(checkout: Checkout, tmp_path: Path) -> None:
    checkout.prepared()
    link = tmp_path / "link"
    link.symlink_to(checkout.root / "sse")
    gone = tmp_path / "gone"
    gone.mkdir()
    for command in (str(link), str(checkout.root / "sse")):
        assert (
            checkout.run(command=command, cwd=Path("/"))
            .front["environment"]["ANSIBLE_CONFIG"]
            .startswith(str(checkout.root))
        )
    removed = subprocess.run(
        ["sh", "-c", f'cd "{gone}" && rmdir "{gone}" && exec "{checkout.root}/sse" up'],
        env=checkout.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(removed.stdout)["here"] == "/", removed.stderr


def test_a_checkout_that_cannot_be_written_is_refused_by_name_and_works_once_prepared(checkout: Checkout) -> None:
    text = (checkout.root / "tools" / "surroundings.sh").read_text()
    # Root may write anywhere, so the test of the shell is what is answered here.
    (checkout.root / "tools" / "surroundings.sh").write_text(text.replace('[ -w "$root" ]', "false"))
    checkout.bare()
    ran = checkout.run()
    assert ran.code == 1
    assert "cannot write in" in ran.told
    assert "chown" in ran.told
    shutil.rmtree(checkout.root / ".venv", ignore_errors=True)
    checkout.prepared()
    (checkout.root / ".ansible" / "collections" / "ansible_collections" / "sse").mkdir(parents=True, exist_ok=True)
    (checkout.root / ".ansible" / "collections" / "ansible_collections" / "sse" / "platform").symlink_to("../../../..")
    assert checkout.run().code == 0


# --- git


def test_the_commit_is_that_of_this_checkout(checkout: Checkout, tmp_path: Path) -> None:
    """Not that of a repository around it, nor of GIT_DIR; and also where the checkout is another user's."""
    checkout.prepared()

    def repository(path: Path) -> str:
        run = ["git", "-C", str(path), "-c", "user.name=x", "-c", "user.email=x"]
        subprocess.run([*run, "init", "-q"], check=True)
        subprocess.run([*run, "commit", "-q", "--allow-empty", "-m", str(path)], check=True)
        shown = subprocess.run([*run, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True)
        return shown.stdout.strip()

    around = repository(tmp_path)
    assert checkout.run().front["environment"]["PLATFORM_COMMIT"] == ""
    own = repository(checkout.root)
    assert own != around
    assert checkout.run(variables={"GIT_DIR": str(tmp_path / ".git")}).front["environment"]["PLATFORM_COMMIT"] == own
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "65534:65534", str(checkout.root)], check=True)
        assert checkout.run().front["environment"]["PLATFORM_COMMIT"] == own


# --- Pythons


def test_a_python_that_is_too_old_or_broken_is_passed_over(checkout: Checkout) -> None:
    """An old one first in PATH, a shim of pyenv for a version that is not there, and one without ssl."""
    checkout.program("python3", "#!/bin/sh\necho 'SyntaxError: old' >&2\nexit 1\n")
    checkout.program("python3.14", "#!/bin/sh\necho 'pyenv: python3.14: command not found' >&2\nexit 127\n")
    checkout.program("python3.13", PYTHON.format(real=sys.executable))
    text = (checkout.root / "tools" / "surroundings.sh").read_text()
    (checkout.root / "tools" / "surroundings.sh").write_text(text.replace(" /usr/bin/python3 ", " "))
    ran = checkout.run()
    assert ran.code == 0, ran.told
    assert "SyntaxError" not in ran.told
    assert (checkout.root / ".venv" / ".requirements.txt").exists()


def test_the_distributions_python_is_found_behind_another() -> None:
    assert " /usr/bin/python3 " in (ROOT / "tools" / "surroundings.sh").read_text()


# --- pip


@pytest.mark.parametrize("row", strange_hosts.PIPS, ids=lambda row: row.what)
def test_settings_of_pip_keep_the_index_and_nothing_that_leads_packages_elsewhere(row: strange_hosts.Pip) -> None:
    found = install.environment(row.variables | {"PATH": "/bin"}, row.listed)
    assert {name: value for name, value in found.items() if name.startswith("PIP_")} == {
        **row.kept,
        "PIP_CONFIG_FILE": os.devnull,
    }
    assert found["PATH"] == "/bin"


def test_the_real_pip_tells_its_settings_in_the_form_that_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pip")
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        "[global]\nindex-url = https://me:pa'ss@example.org/simple\nuser = true\nrequire-virtualenv = true\n"
        f"target = {tmp_path}/else\n[install]\nextra-index-url =\n  https://one.example\n  https://two.example\n"
    )
    own = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PIP_CONFIG_FILE": str(configuration)}
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], env=own | install.LISTING,
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = {name: one for name, one in install.settings(listed).items() if "INDEX" in name or "TARGET" in name}
    assert found == {  # this machine may have settings of its own
        "PIP_INDEX_URL": "https://me:pa'ss@example.org/simple",
        "PIP_EXTRA_INDEX_URL": "https://one.example https://two.example",
    }


# --- sudo


@pytest.mark.parametrize("row", strange_hosts.SUDOS, ids=lambda row: row.what)
def test_a_sudo_that_cannot_run_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: strange_hosts.Sudo
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(surroundings, "SUDO_SECONDS", 1)
    if row.script:
        (tmp_path / "sudo").write_text(f"#!/bin/sh\n{row.script}\n")
        (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if row.script else str(tmp_path))
    begun = time.monotonic()
    found = surroundings.sudo()
    assert found.state == row.state
    assert row.said in found.why
    assert time.monotonic() - begun < 20
    if found.why:
        assert "xpected" in surroundings.refusal(found.why)


def test_help_of_the_service_starts_no_server() -> None:
    for words, code in ((["--help"], 0), (["-h"], 0), (["--port", "1"], 2), (["serve"], 2)):
        ended = subprocess.run(
            [sys.executable, "-m", "sse_app", *words], cwd=ROOT / "app", capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
        assert ended.returncode == code
        assert ("usage: python -m sse_app" in ended.stdout) is (code == 0)
        assert ("takes no argument" in ended.stderr) is (code == 2)


@pytest.mark.parametrize("mounted", ["", "noexec", "nodev,nosuid", "nosuid"])
def test_the_root_file_system_is_made_where_programs_run_and_with_modes_of_its_own(
    tmp_path: Path, mounted: str
) -> None:
    tasks = yaml.safe_load((ROOT / "roles/images/tasks/build.yml").read_text())
    argv = tasks[0]["ansible.builtin.command"]["argv"]
    stub = tmp_path / "bootstrap.sh"
    stub.write_text('echo "$(umask) ${TMPDIR-/tmp} $*"\n')
    command = ["sh", "-c", 'umask 077; exec "$@"', "sh", *argv[:4], str(stub), "trixie", ""]
    if mounted:
        mount = (
            f'mount -t tmpfs -o {mounted} tmpfs /tmp && mkdir -p "$0" && printf "%s" "$1" >"$2" && shift 2 && exec "$@"'
        )
        command = ["unshare", "-m", "sh", "-c", mount, str(tmp_path), stub.read_text(), str(stub), *command]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    if mounted and ran.returncode:
        pytest.skip(f"this machine cannot mount: {ran.stderr}")
    place = "/var/tmp" if {"noexec", "nodev"} & set(mounted.split(",")) else "/tmp"
    assert ran.stdout.split() == ["0022", place, "trixie"]
