"""What the tools share: the host of the inventory, its containers of the platform, and modules that run there."""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import inputs
import inventories
import parsers
import reaching
import surroundings
from nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json, Release

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))  # a tool imports from the collection after this file
# One engine, whatever the environment or a context of the docker command chooses: the one that the modules work with.
SOCKET = "/var/run/docker.sock"
for chooses in ("DOCKER_API_VERSION", "DOCKER_CERT_PATH", "DOCKER_TLS", "DOCKER_TLS_VERIFY"):
    os.environ.pop(chooses, None)
# Names that are an option of Ansible elsewhere, and another one of these verbs.
OWN_OPTIONS = {
    "exec": frozenset({"-u", "--user"}),
    "listen": frozenset({"--timeout"}),
    "publish": frozenset({"--timeout"}),
}
END_SECONDS = 0.5  # that what was started may take to end
MARK = "sse-begins-here"  # of letters that every shell takes as they are
# The hosts of a cluster, by the groups of its inventory.
CLUSTER = "managers:edge:app:data"
STACK = '{{ stack_name | default("sse") }}'
STATE = '{{ stack_state_directory | default("/var/lib/" ~ stack_name | default("sse") ~ "-platform") }}'
MISSING = re.compile(
    r"[Mm]issing sudo password|password is required|Incorrect sudo password|interactive authentication is required"
)
# The line with which Ansible's callback `minimal` begins the result of a host.
HEALTH = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)$")  # in what `docker ps` shows of a container
RESULT = re.compile(r"^(\S+) \| [A-Z!]+ => (?={)", re.MULTILINE)


@dataclass(frozen=True)
class Container:
    """A container of the platform, by its labels."""

    name: str
    service: str
    short: str

    def is_called(self, name: str) -> bool:
        """Tell whether a name means this container: it is its service, its short name or its full name."""
        return name in {self.service, self.short, self.name}


@dataclass(frozen=True)
class Task:
    """A container of a cluster: what it is of, and where it is."""

    container: Container
    id: str
    full: str  # the name of the container
    running: bool
    host: Host
    state: str = ""  # as of a container of one host: healthy, unhealthy, running, starting, exited, ...


@dataclass(frozen=True)
class Host:
    """Where the containers run: this machine, or a machine that is reached over SSH, as Ansible reaches it."""

    ssh: tuple[str, ...]  # with its options; the target is the last word
    sudo: tuple[str, ...]
    stack: str
    name: str = ""  # in the inventory
    password: str = field(default="", repr=False)  # of sudo; it is the first line that a command reads

    def docker(self, *arguments: str, terminal: bool = False, marked: bool = False) -> list[str]:
        """Return the command that runs ``docker ARGUMENTS`` there.

        :param marked: over SSH, print MARK before; the shell of a user may have printed a greeting until then
        """
        asked = reaching.prompting(terminal) if self.password else ()
        command = [*self.sudo, *asked, "docker", "-H", f"unix://{SOCKET}", *arguments]
        if not self.ssh:
            return command
        *ssh, target = self.ssh
        return [*ssh, *(["-tt"] if terminal else []), target, f"echo {MARK}; " * marked + shlex.join(command)]

    def output(self, *arguments: str) -> str:
        """Return what ``docker ARGUMENTS`` prints there."""
        return output(self.docker(*arguments, marked=True), self.password).rpartition(f"{MARK}\n")[2]

    def start(self, *arguments: str, errors: int | None = None) -> subprocess.Popen[str]:
        """Start ``docker ARGUMENTS`` there, and read what it prints."""
        pipe = subprocess.PIPE
        started = subprocess.Popen(
            self.docker(*arguments, marked=True),
            stdin=pipe if self.password else subprocess.DEVNULL,
            stdout=pipe,
            stderr=errors,
            text=True,
            errors="replace",
        )
        if started.stdin:
            with contextlib.suppress(BrokenPipeError):
                started.stdin.write(f"{self.password}\n")
                started.stdin.close()
        return started

    def lines(self, started: subprocess.Popen[str]) -> Iterable[str]:
        """Give the lines of what was started, without a greeting of the shell; all of them where it did not begin."""
        stream = started.stdout or ()
        return after(f"{MARK}\n", stream) if self.ssh else stream

    def say_where(self, options: argparse.Namespace) -> None:
        """Say which host something is done on, before it is done."""
        where = (
            f" ({self.ssh[-1]})" if self.ssh and self.ssh[-1] != self.name else "" if self.ssh else " (this machine)"
        )
        sys.stderr.write(f"sse: on {self.name}{where}, stack {self.stack}, by {inventories.shown(options.inventory)}\n")

    def containers(self, wanted: list[str]) -> list[Container]:
        """Return the containers with these names or of these services; without names, return all of them."""
        form = '{{.Names}}\t{{.Label "sse.platform.service"}}\t{{.Label "sse.platform.container"}}'
        listed = self.output("ps", "-a", "--filter", f"label=sse.platform.stack={self.stack}", "--format", form)
        return self.chosen(listed, wanted, "container")

    def services(self, wanted: list[str]) -> list[Container]:
        """Return the services of a cluster with these names; this host is one of its managers."""
        listed = self.output("service", "ls", "-q", "--filter", f"label=sse.platform.stack={self.stack}").split()
        form = "{{.Spec.Name}}" + "".join(
            f'\t{{{{index .Spec.TaskTemplate.ContainerSpec.Labels "sse.platform.{label}"}}}}'
            for label in ("service", "container")
        )
        shown = self.output("service", "inspect", "--format", form, *listed) if listed else ""
        return self.chosen(shown, wanted, "service")

    def tasks(self) -> list[Task]:
        """Return the containers that a Swarm has, or had, of the stack on this host."""
        labels = ("com.docker.swarm.service.name", "sse.platform.service", "sse.platform.container")
        form = "{{.ID}}\t{{.Names}}\t{{.State}}\t{{.Status}}" + "".join(f'\t{{{{.Label "{one}"}}}}' for one in labels)
        listed = self.output("ps", "-a", "--filter", f"label=sse.platform.swarm-stack={self.stack}", "--format", form)
        split = (line.split("\t") for line in listed.splitlines())
        return [
            Task(Container(*names), found, full, state == "running", self, state_of(state, told))
            for found, full, state, told, *names in split
        ]

    def chosen(self, listed: str, wanted: list[str], what: str) -> list[Container]:
        """Return those of a list that are wanted; without a wish, all of them."""
        found = sorted((Container(*line.split("\t")) for line in listed.splitlines()), key=lambda one: one.name)
        if not found:
            where = self.name or "this host"
            raise SystemExit(f"The stack '{self.stack}' has no {what} on {where}. Run ./sse up, which creates them.")
        unknown = [name for name in wanted if not any(one.is_called(name) for one in found)]
        if unknown:
            meant = did_you_mean(unknown[0], {name for one in found for name in (one.service, one.short, one.name)})
            names = ", ".join(one.short for one in found)
            raise SystemExit(f"There is no service or container '{unknown[0]}'{meant} Expected one of {names}.")
        return [one for one in found if not wanted or any(one.is_called(name) for name in wanted)]


def state_of(state: str, told: str) -> str:
    """Return how a container is, from what `docker ps` shows of it, such as "Up 2 minutes (health: starting)"."""
    found = HEALTH.search(told) if state == "running" else None
    return found[1] if found else state


def after(mark: str, lines: Iterable[str]) -> Iterator[str]:
    """Give the lines after a mark; all of them where it does not come."""
    coming, before = iter(lines), list[str]()
    for line in coming:
        if line == mark:
            yield from coming
            return
        before.append(line)
    yield from before


def stop(started: subprocess.Popen[str]) -> int:
    """End what was started; return its exit code, and 0 where it did not end by itself.

    What sudo runs is root's, so another user may not end it: it ends with this program, or when its own work is done.
    """
    with contextlib.suppress(PermissionError):
        started.terminate()
    try:
        return max(started.wait(END_SECONDS), 0)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(PermissionError):
            started.kill()
            started.wait()
        return 0


def output(command: list[str], password: str = "") -> str:  # nosec B107 - none by default
    """Return what a command prints. Where the command fails, end with the error that it printed."""
    given = f"{password}\n" if password else ""
    try:
        run = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise SystemExit(f"{error.filename} is not installed here. Run ./sse up, which installs the engine.") from None
    if run.returncode:
        raise SystemExit(run.stderr.strip() or f"{shlex.join(command)} ended with {run.returncode}")
    return run.stdout


def parser() -> argparse.ArgumentParser:
    """Return a parser with the help of the verb, and with the options by which every tool finds its host."""
    made = parsers.of_verb()
    reaching.add_options(made, OWN_OPTIONS.get(Path(sys.argv[0]).stem, frozenset()))
    return made


def host(options: argparse.Namespace, *, of_cluster: bool = False) -> Host:
    """Return the one host that these options choose, and how Ansible reaches it.

    :param of_cluster: whether it may be one of a cluster
    """
    if not of_cluster:
        refuse_cluster(options)
    with tempfile.TemporaryDirectory(prefix="sse-") as directory:
        way = Path(directory) / "way.json"
        given = {"to": str(way), "stack": STACK}
        name, __ = ansible(options, "sse.platform.reach", given, "--become")
        found = json.loads(way.read_text())
    return reached(options, name, found)


def reached(options: argparse.Namespace, name: str, found: Json, known: str = "") -> Host:
    """Return a host by how Ansible reaches it.

    :param known: a password of sudo that somebody was asked for before
    """
    asks = found["uid"] != 0 and not found["silent"]
    if asks and found["method"].rpartition(".")[2] != "sudo":
        raise SystemExit(f"sse: ansible_become_method of {name} is '{found['method']}': this verb knows sudo and root.")
    password = found["password"] or known if asks else ""
    if asks and not password:
        password = reaching.ask(options, name, found["user"])
    sudo = () if found["uid"] == 0 else ("sudo",) if asks else ("sudo", "-n")
    ssh = (*found["ssh"], found["target"]) if found["ssh"] else ()
    return Host(ssh=ssh, sudo=sudo, stack=found["stack"], name=name, password=password)


def of_cluster(options: argparse.Namespace) -> list[Host]:
    """Return the hosts of a cluster that answer; each other one is told, and left out.

    :raises SystemExit: none answers
    """
    with tempfile.TemporaryDirectory(prefix="sse-") as directory:
        given = {"to": f"{directory}/{{{{ inventory_hostname }}}}", "stack": STACK}
        results, __ = results_of(options, CLUSTER, "sse.platform.reach", given, "--become")
        ways = {name: Path(directory) / name for name in results}
        known = {name: json.loads(way.read_text()) for name, way in ways.items() if way.exists()}
    silent = {name: str(one.get("msg", "it gives no reason")) for name, one in results.items() if name not in known}
    if not known:
        raise SystemExit("\n".join(dict.fromkeys(silent.values())))
    for name, why in silent.items():
        sys.stderr.write(f"sse: {name} is left out: {why.strip()}\n")
    hosts: list[Host] = []
    for name, found in known.items():
        asked = next((one.password for one in hosts if one.password), "")
        hosts.append(reached(options, name, found, asked))
    return hosts


def tasks(hosts: list[Host], wanted: list[str]) -> list[Task]:
    """Return what runs on the hosts of a cluster of the services with these names, at least one task of each name.

    :raises SystemExit: a name means nothing there, or nothing of it runs
    """

    def ask(host: Host) -> list[Task] | SystemExit:
        try:
            return host.tasks()
        except SystemExit as error:
            return error

    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = list(pool.map(ask, hosts))
    found: list[Task] = []
    asked: list[Host] = []
    for host, answer in zip(hosts, answers, strict=True):
        if isinstance(answer, SystemExit):
            sys.stderr.write(f"sse: {host.name} is left out: {answer}\n")
        else:
            asked.append(host)
            found += answer
    if not asked:
        raise SystemExit("sse: no host of the cluster says what runs there.")
    where = ", ".join(host.name for host in asked)
    listed = {f"{one.container.name}\t{one.container.service}\t{one.container.short}" for one in found}
    chosen = replace(asked[0], name=where).chosen("\n".join(listed), wanted, "container")
    able = [one for one in found if one.running and one.container in chosen]
    for name in wanted:
        if not any(one.container.is_called(name) for one in able):
            raise SystemExit(f"sse: nothing of '{name}' runs on {where}. ./sse status says what is where.")
    return sorted(able, key=lambda one: (one.container.short, hosts.index(one.host)))


def refuse_cluster(options: argparse.Namespace) -> None:
    """End where the hosts of the inventory are one cluster, of which this verb knows nothing."""
    if inventories.is_cluster(options.inventory):
        verb = Path(sys.argv[0]).stem.replace("_", "-")
        raise SystemExit(f"sse: {inventories.of_one_host(verb, options.inventory)}")


def inside(options: argparse.Namespace, name: str, source: str, arguments: Mapping[str, object]) -> Json:
    """Run a module about one container: of a cluster, on the host where its first task runs; return its result.

    :param source: a service, a container, or host, which is a word for the one of the options
    """
    if not inventories.is_cluster(options.inventory):
        return module(options, name, {"source": source, **arguments})
    if source == "host":
        if not options.limit:
            raise SystemExit("sse: 'host' is any of several here. Choose one with -l.")
        return module(options, name, {"source": source, **arguments}, of_cluster=True)
    task, *others = tasks(of_cluster(options), [source])
    if others:
        sys.stderr.write(f"sse: in {task.container.short}, the first of {len(others) + 1} containers\n")
    task.host.say_where(options)
    options.limit = task.host.name
    return module(options, name, {"source": task.full, **arguments}, of_cluster=True)


def module(
    options: argparse.Namespace, name: str, arguments: Mapping[str, object], *, of_cluster: bool = False
) -> Json:
    """Run a module of the collection as root on the one host that these options choose, and return its result.

    :param of_cluster: whether it may be one of a cluster
    """
    if not of_cluster:
        refuse_cluster(options)
    if inventories.is_this_machine(options.inventory) and not reaching.has_password(options):
        found = surroundings.sudo()
        if found.state == "impossible":
            raise SystemExit(f"sse: {surroundings.refusal(found.why)}")
        if found.state == "password" and sys.stdin.isatty():
            options.ask_become_pass = True
    return ansible(options, f"sse.platform.{name}", {"stack": STACK, **arguments}, "--become")[1]


def ansible(options: argparse.Namespace, name: str, arguments: Mapping[str, object], *more: str) -> tuple[str, Json]:
    """Run any module on the one host that these options choose; return the name of the host and the result."""
    found, run = results_of(options, "all", name, arguments, *more)
    if len(found) > 1:
        raise SystemExit(f"Choose one host with -l: {', '.join(found)}.")
    ((host_name, result),) = found.items()
    if run.returncode or result.get("failed") or result.get("unreachable"):
        said = str(result.get("msg") or run.stdout.strip())
        advice = f" {reaching.ADVICE}" if MISSING.search(said) else ""
        raise SystemExit(f"{said}{advice}")
    return host_name, result


def results_of(
    options: argparse.Namespace, pattern: str, name: str, arguments: Mapping[str, object], *more: str
) -> tuple[dict[str, Json], subprocess.CompletedProcess[str]]:
    """Run a module on the hosts of a pattern, or on those that these options choose; return the result of each.

    :raises SystemExit: there is no such host
    """
    if problem := inventories.missing(options.inventory) or inputs.problem(options.extra_vars, options.inventory):
        raise SystemExit(f"sse: {problem}")
    program = str(Path(sys.executable).with_name("ansible"))
    given = inventories.words(options.inventory)
    command = [program, options.limit or pattern, *given, "-m", name, "-a", json.dumps(arguments), *more]
    command += reaching.words(options)
    for variables in options.extra_vars:
        command += ["-e", variables]
    shown = {"ANSIBLE_STDOUT_CALLBACK": "minimal", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"}
    os.environ.setdefault("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg"))
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=os.environ | shown)
    decoder = json.JSONDecoder()
    found = {match[1]: decoder.raw_decode(run.stdout, match.end())[0] for match in RESULT.finditer(run.stdout)}
    if not found:
        if run.returncode:  # Ansible has said why
            raise SystemExit(run.stdout.strip() or 1)
        raise SystemExit(run.stdout.strip() or f"sse: {inventories.no_host(options.inventory, options.limit or 'all')}")
    return found, run


def playbook(options: argparse.Namespace, name: str, variables: Mapping[str, object]) -> int:
    """Run a playbook on the hosts that these options choose; what it shows goes to the errors. Return its exit code."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(ROOT / "playbooks" / name)]
    command += [*inventories.words(options.inventory), *reaching.words(options)]
    command += [word for given in (*options.extra_vars, json.dumps(variables)) for word in ("-e", given)]
    os.environ.setdefault("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg"))
    return 1 if subprocess.run(command, stdout=sys.stderr, check=False).returncode else 0


def applied(options: argparse.Namespace) -> list[Release]:
    """Return what each project of a cluster runs, as its first manager keeps it."""
    return kept(options)["releases"]


def kept(options: argparse.Namespace) -> Json:
    """Return what each project of a cluster runs as `releases`, and as `current` the number of that release.

    :raises SystemExit: the first manager does not answer, or nothing was deployed
    """
    asked = argparse.Namespace(**{**vars(options), "limit": "managers[0]"})
    return ansible(asked, "sse.platform.releases", {"state_directory": STATE, "show": "applied"}, "--become")[1]


def observed(options: argparse.Namespace) -> Json:
    """Return the newest release of each project of the stack as `releases`, and what runs as `status`."""
    found = module(options, "status", {"state_directory": STATE})
    if not found["releases"]:
        raise SystemExit("Nothing was deployed here. Run ./sse up first.")
    return found


def releases(options: argparse.Namespace) -> list[Release]:
    """Return the newest release of each project of the stack."""
    return observed(options)["releases"]
