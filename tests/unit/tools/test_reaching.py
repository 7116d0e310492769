"""Every tool reaches the hosts that the playbooks reach: a row is one way in which people have their hosts."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import reaching

sys.path.append(str(Path(__file__).resolve().parents[3] / "clients/python/tests"))

# isort: split
from strange_server import Server, answer, stream

ROOT = Path(__file__).resolve().parents[3]
SSHD = "/usr/sbin/sshd"
PASSWORD, VAULT = "sudo pass 'w$rd", "of the vault"
LIMIT_SECONDS = 120
USERS = {"asked": "/bin/sh", "quiet": "/bin/sh", "greeted": "GREETING"}  # with their shells
# A shell as many people have one: its file of settings prints something before each command.
GREETING = '#!/bin/sh\necho Welcome, it is 12:30 here\necho 127.0.0.1 9\nexec /bin/sh "$@"\n'
# A stand-in for the engine's command. It says who runs it.
DOCKER = """#!/bin/sh
shift 2
case $1 in
    ps) printf 'sse-redis-master\\tredis\\tredis-master\\n' ;;
    logs) echo "2026-01-01T00:00:00Z hello from $(id -un) in $INSIDE" ;;
    inspect) echo '[{"Config": {}}]' ;;
    info) echo 2026-01-01T00:00:00Z ;;
    restart) echo "$2" ;;
    exec) shift; while [ "${1#-}" != "$1" ]; do shift; done; shift; exec "$@" ;;
esac
"""


class Machine(NamedTuple):
    """Another machine: a server of SSH with its own users, sudo and names, on this kernel."""

    directory: Path
    port: int

    @property
    def key(self) -> str:
        """The private key that its users accept."""
        return str(self.directory / "id")

    def variables(self, user: str, **more: object) -> dict[str, object]:
        """The variables of an inventory that lead to it."""
        way = {"ansible_host": "127.0.0.1", "ansible_port": self.port, "ansible_user": user}
        return {**way, "ansible_ssh_private_key_file": self.key, **more}


def prepared(directory: Path, port: int) -> str:
    """Write the files of the machine; return the script that starts it in a mount namespace of its own."""
    made = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / "id")], check=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / "host")], check=True)
    etc = {
        "passwd": "".join(f"{name}:x:{uid}:{uid}::/tmp:{USERS[name]}\n" for uid, name in enumerate(USERS, 4242)),
        "group": "".join(f"{name}:x:{gid}:\n" for gid, name in enumerate(USERS, 4242)),
        "shadow": "".join(f"{name}:{made.stdout.strip()}:19000:0:99999:7:::\n" for name in USERS),
        "hosts": "127.0.0.1 inner\n",
    }
    (directory / "bin").mkdir()
    (directory / "bin/docker").write_text(DOCKER)
    (directory / "bin/docker").chmod(0o755)
    (directory / "greeting").write_text(GREETING)
    (directory / "greeting").chmod(0o755)
    etc["passwd"] = etc["passwd"].replace("GREETING", f"{directory}/greeting")
    for name, text in etc.items():
        shutil.copy(f"/etc/{name}", directory / name)
        with (directory / name).open("a") as file:
            file.write(text)
    (directory / "sudoers").write_text(
        f'Defaults secure_path="{directory}/bin:/usr/bin:/bin", env_keep+=INSIDE\n'
        "root ALL=(ALL) ALL\nasked ALL=(ALL) ALL\nquiet ALL=(ALL) NOPASSWD: ALL\ngreeted ALL=(ALL) NOPASSWD: ALL\n"
    )
    (directory / "sudoers").chmod(0o440)
    (directory / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nAuthorizedKeysFile {directory}/id.pub\n"
        f"StrictModes no\nUsePAM no\nPidFile none\nSetEnv PATH={directory}/bin:/usr/bin:/bin INSIDE=machine\n"
    )
    mounts = [f"mount --bind {directory}/{name} /etc/{name}" for name in (*etc, "sudoers")]
    steps = ["set -e", "mount --make-rprivate /", *mounts, "mount -t tmpfs tmpfs /run", "mkdir -p /run/sshd"]
    return "; ".join([*steps, f"exec {SSHD} -D -e -f {directory}/sshd_config"])


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """The machine, as long as the tests of this file run."""
    if os.geteuid() != 0:
        pytest.skip("only root makes a machine out of namespaces")
    for program in (SSHD, "sudo", "ssh", "openssl", "unshare"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed here")
    directory = Path(tempfile.mkdtemp(prefix="sse-machine-"))
    directory.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (directory / "log").open("w")
    server = subprocess.Popen(["unshare", "-m", "sh", "-c", prepared(directory, port)], stdout=log, stderr=log)
    try:
        until = time.monotonic() + LIMIT_SECONDS
        while True:
            assert server.poll() is None, (directory / "log").read_text()
            assert time.monotonic() < until
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Machine(directory, port)
    finally:
        until = time.monotonic() + LIMIT_SECONDS
        while kept := [one for one in inside(server.pid) if one != server.pid]:  # for connections that ssh keeps
            assert time.monotonic() < until
            with contextlib.suppress(ProcessLookupError):
                os.kill(max(kept), signal.SIGTERM)  # the youngest first: the one above it waits for it
            time.sleep(0.02)
        server.terminate()
        server.wait()
        log.close()
        shutil.rmtree(directory)


def inside(server: int) -> list[int]:
    """The processes in the mount namespace of the server."""
    found: list[int] = []
    own = Path(f"/proc/{server}/ns/mnt").readlink()
    for path in Path("/proc").glob("[0-9]*/ns/mnt"):
        with contextlib.suppress(OSError):
            if path.readlink() == own:
                found.append(int(path.parts[2]))
    return found


class Way(NamedTuple):
    """How somebody's inventory leads to the machine."""

    words: list[str]
    environment: dict[str, str] = {}  # noqa: RUF012


def written(path: Path, value: Any) -> Path:
    """Write a file of an inventory: JSON, which is YAML."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def host(**variables: object) -> dict[str, object]:
    """An inventory with one host."""
    return {"all": {"hosts": {"box": {}}, "vars": variables}}


def encrypted(path: Path) -> Path:
    """Encrypt a file by ansible-vault."""
    secret = written(path.parent / "pass.txt", VAULT)
    command = ["ansible-vault", "encrypt", "--vault-password-file", str(secret), str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return secret


def group_vars(machine: Machine, at: Path) -> Way:
    written(at / "hosts.yml", host())
    written(at / "group_vars/all.yml", machine.variables("quiet"))
    return Way(["-i", str(at / "hosts.yml")])


def a_shell_that_greets(machine: Machine, at: Path) -> Way:
    return Way(["-i", str(written(at / "hosts.yml", host(**machine.variables("greeted"))))])


def templates(machine: Machine, at: Path) -> Way:
    variables = machine.variables("{{ who }}", who="quiet", ansible_port=f"{{{{ {machine.port - 1} + 1 }}}}")
    return Way(["-i", str(written(at / "hosts.yml", host(**variables)))])


def password_in_a_vault(machine: Machine, at: Path) -> Way:
    written(at / "hosts.yml", host())
    path = written(at / "group_vars/all.yml", machine.variables("asked", ansible_become_password=PASSWORD))
    return Way(["-i", str(at / "hosts.yml"), "--vault-password-file", str(encrypted(path))])


def whole_inventory_in_a_vault(machine: Machine, at: Path) -> Way:
    path = written(at / "hosts.yml", host(**machine.variables("asked", ansible_become_pass=PASSWORD)))
    return Way(["-i", str(path), "--vault-id", str(encrypted(path))])


def password_of_sudo_in_a_file(machine: Machine, at: Path) -> Way:
    path = written(at / "hosts.yml", host(**machine.variables("asked")))
    return Way(["-i", str(path), "--become-password-file", str(written(at / "pass.txt", PASSWORD))])


def bastion(machine: Machine, at: Path) -> Way:
    jump = f"ssh -F none -i {machine.key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    common = f'-o ProxyCommand="{jump} -p {machine.port} -W %h:%p quiet@127.0.0.1" -o UserKnownHostsFile=/dev/null'
    variables = machine.variables("quiet", ansible_host="inner", ansible_ssh_common_args=common)
    return Way(["-i", str(written(at / "hosts.yml", host(**variables)))])


def without_control_persist(machine: Machine, at: Path) -> Way:
    variables = machine.variables("quiet", ansible_ssh_args="-o ControlMaster=no")
    return Way(["-i", str(written(at / "hosts.yml", host(**variables)))])


def several_inventories(machine: Machine, at: Path) -> Way:
    first = written(at / "1/hosts.yml", host())
    second = written(at / "2/more.yml", {"all": {"vars": machine.variables("quiet")}})
    return Way(["-i", str(first), "--inventory", str(second)])


def a_directory(machine: Machine, at: Path) -> Way:
    written(at / "inventory/hosts.ini", "[boxes]\nbox\n")
    written(at / "inventory/group_vars/boxes/main.yml", machine.variables("quiet"))
    written(at / "inventory/keys.pem", "not a host")
    return Way([f"-i{at}/inventory"])


def a_script(machine: Machine, at: Path) -> Way:
    answer = json.dumps({"_meta": {"hostvars": {"box": machine.variables("quiet")}}, "all": {"hosts": ["box"]}})
    path = written(at / "list", f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    path.chmod(0o755)
    return Way(["-i", str(path)])


def a_plugin(machine: Machine, at: Path) -> Way:
    plugin = {"plugin": "ansible.builtin.generator", "hosts": {"name": "{{ n }}"}, "layers": {"n": ["box"]}}
    written(at / "group_vars/all.yml", machine.variables("quiet"))
    return Way(["-i", str(written(at / "generator.yml", plugin))])


def exported(machine: Machine, at: Path) -> Way:
    path = written(at / "hosts.yml", host(**machine.variables("quiet")))
    return Way([], {"ANSIBLE_INVENTORY": str(path)})


def options_of_the_command_line(machine: Machine, at: Path) -> Way:
    del at
    return Way(["-i", "127.0.0.1,", "--private-key", machine.key, "--ssh-common-args", f"-p {machine.port} -l quiet"])


def one_of_several_hosts(machine: Machine, at: Path) -> Way:
    hosts = {"box": machine.variables("quiet"), "other": {"ansible_host": "192.0.2.1"}}
    path = written(at / "hosts.yml", {"all": {"hosts": hosts}})
    return Way(["-i", str(path), "-l", "box"])


WAYS = {
    way.__name__: way
    for way in (
        *(group_vars, templates, password_in_a_vault, whole_inventory_in_a_vault, password_of_sudo_in_a_file, bastion),
        *(without_control_persist, several_inventories, a_directory, a_script, a_plugin, exported),
        *(options_of_the_command_line, one_of_several_hosts, a_shell_that_greets),
    )
}
# One of each kind; each takes seconds, and CI tries no more.
OF_CI = {"group_vars", "password_in_a_vault", "bastion", "a_plugin", "one_of_several_hosts", "a_shell_that_greets"}


def environment(way: Way, home: Path) -> dict[str, str]:
    """The environment of a command, with a home of its own, in which its temporary files are, too."""
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {
        "HOME": str(home),
        "TMPDIR": str(home),
        "PATH": programs,
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "LC_ALL": "C.UTF-8",
    }
    return {**os.environ, **own, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **way.environment}


def call(way: Way, home: Path, verb: str, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a verb, behind the launcher."""
    command = [sys.executable, str(ROOT / "tools/front.py"), verb, *way.words, *words]
    return subprocess.run(
        command,
        env=environment(way, home),
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )


@pytest.fixture
def at() -> Iterator[Path]:
    """A home with a short path: below the directories of pytest, the path of an SSH control socket is too long."""
    with tempfile.TemporaryDirectory(prefix="h") as directory:
        yield Path(directory)


@pytest.mark.parametrize("name", [pytest.param(one, marks=() if one in OF_CI else pytest.mark.whole) for one in WAYS])
def test_logs_reach_the_host_that_the_inventory_means(name: str, machine: Machine, at: Path) -> None:
    run = call(WAYS[name](machine, at), at, "logs")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout == "redis-master | hello from root in machine\n"


def test_exec_hands_over_its_input_and_nothing_of_a_password(machine: Machine, at: Path) -> None:
    run = call(password_in_a_vault(machine, at), at, "exec", "redis", "sh", "-c", "cat; id -un", given="a\nb\n")
    assert (run.returncode, run.stdout) == (0, "a\nb\nroot\n"), run.stderr
    assert run.stderr.startswith("sse: on box (127.0.0.1), stack sse, by ")
    assert not list(at.glob("sse-*")), "a file with a password stays"


@pytest.mark.parametrize(
    "way",
    [
        password_in_a_vault,
        a_shell_that_greets,
        *(pytest.param(one, marks=pytest.mark.whole) for one in (bastion, without_control_persist)),
    ],
    ids=lambda way: way.__name__,
)
def test_listen_and_publish_connect_through_the_ssh_of_the_inventory(
    way: Callable[[Machine, Path], Way], machine: Machine, at: Path
) -> None:
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=nobody"]
    files = ["-keyout", str(at / "key"), "-out", str(at / "crt")]
    subprocess.run(["openssl", *made, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(at / "crt", at / "key")
    docker = machine.directory / "bin/docker"
    events = [stream("retry: 10\nid: 1-a\ndata: x\n\n"), answer(202, '{"ids": ["2-b"]}', "application/json")]
    with Server([events[0], *events], tls=context) as server:
        found = f"ps) printf 'sse-nginx\\tnginx\\tnginx\\n' ;; inspect) echo 127.0.0.1 {server.port} ;;"
        docker.write_text(f"#!/bin/sh\nshift 2\ncase $1 in {found} esac\n")
        try:
            heard = call(way(machine, at), at, "listen", "news", "--count", "2")
            assert (heard.returncode, heard.stdout) == (0, "1-a  message  x\n" * 2), heard.stderr
            stored = call(way(machine, at), at, "publish", "news", "1")
            assert (stored.returncode, stored.stdout) == (0, "published to news: 2-b\n"), stored.stderr
        finally:
            docker.write_text(DOCKER)
    assert stored.stderr.startswith("sse: on box (")


def test_restart_works_behind_a_shell_that_greets(machine: Machine, at: Path) -> None:
    run = call(a_shell_that_greets(machine, at), at, "restart", "redis")
    assert (run.returncode, run.stdout.count("\n")) == (0, 2), run.stdout + run.stderr


def test_restart_names_the_host_before_it_changes_it(machine: Machine, at: Path) -> None:
    run = call(exported(machine, at), at, "restart", "redis")
    assert run.returncode == 0, run.stderr
    assert "redis-master: back after" in run.stdout
    assert run.stderr.startswith("sse: on box (127.0.0.1), stack sse, by ")
    assert "hosts.yml (ANSIBLE_INVENTORY)" in run.stderr


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (("audit",), "no Docker Engine answers at"),
        (("probe", "host", "127.0.0.1:1"), "No Docker Engine answers here"),
        (("capture", "none"), "none"),
    ],
    ids=str,
)
def test_a_module_runs_as_root_where_sudo_wants_a_password(
    verb: tuple[str, ...], said: str, machine: Machine, at: Path
) -> None:
    run = call(password_in_a_vault(machine, at), at, *verb)
    assert "password" not in run.stdout + run.stderr
    assert said in run.stdout + run.stderr


@pytest.mark.parametrize("verb", [("exec", "redis", "id"), ("audit",)], ids=" ".join)
def test_a_missing_password_of_sudo_is_named_with_the_way_on(verb: tuple[str, ...], machine: Machine, at: Path) -> None:
    path = written(at / "hosts.yml", host(**machine.variables("asked")))
    run = call(Way(["-i", str(path)]), at, *verb)
    assert (run.returncode, run.stdout) == (1, "")
    assert "Add -K, which asks for it" in run.stderr


@pytest.mark.parametrize("verb", [("logs",), ("exec", "redis", "id", "-un")], ids=" ".join)
def test_a_terminal_is_asked_for_the_password_of_sudo_once(verb: tuple[str, ...], machine: Machine, at: Path) -> None:
    path = written(at / "hosts.yml", host(**machine.variables("asked")))
    name, *words = verb
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - it becomes the command
        command = [sys.executable, str(ROOT / "tools/front.py"), name, "-i", str(path), "-K", *words]
        os.execve(sys.executable, command, environment(Way([]), at))
    said, answered = b"", False
    try:
        while data := os.read(terminal, 4096):
            said += data
            if b"password of sudo: " in said and not answered:
                answered = True
                os.write(terminal, f"{PASSWORD}\n".encode())
    except OSError:  # the end of a terminal
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said.decode()
    assert b"root" in said
    assert PASSWORD.encode() not in said
    assert said.count(b"password") == 1, said.decode()


@pytest.mark.parametrize("place", ["nowhere", "", "relative"])
def test_a_password_is_kept_where_the_runtime_directory_is_not_there(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / place) if place == "nowhere" else place)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = Path(reaching.kept("a password"))
    assert kept.parent == tmp_path
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("a password\n", 0o600)


def test_a_misspelt_stack_is_refused_before_a_tool_works_on_another(machine: Machine, at: Path) -> None:
    run = call(group_vars(machine, at), at, "restart", "redis", "-e", "stack_nmae=demo")
    assert (run.returncode, run.stdout) == (1, "")
    assert "stack_nmae is not a variable of this collection: did you mean stack_name?" in run.stderr
