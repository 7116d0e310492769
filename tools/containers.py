"""What the tools share: the host of the inventory, its containers of the platform, and modules that run there."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import inventories
import surroundings
from verbs import VERBS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json, Release

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))  # a tool imports from the collection after this file
# The variables of an inventory that say how a host is reached, and which stack is meant there.
CONNECTION = (
    *("ansible_connection", "ansible_host", "ansible_port", "ansible_user", "ansible_ssh_private_key_file"),
    *("ansible_ssh_common_args", "ansible_ssh_extra_args", "stack_name"),
)
# One engine, whatever the environment or a context of the docker command chooses: the one that the modules work with.
SOCKET = "/var/run/docker.sock"
for chooses in ("DOCKER_API_VERSION", "DOCKER_CERT_PATH", "DOCKER_TLS", "DOCKER_TLS_VERIFY"):
    os.environ.pop(chooses, None)
# The line with which Ansible's callback `minimal` begins the result of a host.
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
class Host:
    """Where the containers run: this machine, or a machine that is reached over SSH."""

    ssh: tuple[str, ...]
    sudo: tuple[str, ...]
    stack: str

    def docker(self, *arguments: str, terminal: bool = False) -> list[str]:
        """Return the command that runs ``docker ARGUMENTS`` there."""
        command = [*self.sudo, "docker", "-H", f"unix://{SOCKET}", *arguments]
        if not self.ssh:
            return command
        program, *options, target = self.ssh
        return [program, *options, *(["-t"] if terminal else []), target, shlex.join(command)]

    def containers(self, wanted: list[str]) -> list[Container]:
        """Return the containers with these names or of these services; without names, return all of them."""
        form = '{{.Names}}\t{{.Label "sse.platform.service"}}\t{{.Label "sse.platform.container"}}'
        listed = output(self.docker("ps", "-a", "--filter", f"label=sse.platform.stack={self.stack}", "--format", form))
        found = sorted((Container(*line.split("\t")) for line in listed.splitlines()), key=lambda one: one.name)
        if not found:
            raise SystemExit(f"The stack '{self.stack}' has no container here. Run ./sse up, which creates them.")
        unknown = [name for name in wanted if not any(one.is_called(name) for one in found)]
        if unknown:
            names = ", ".join(one.short for one in found)
            raise SystemExit(f"There is no service or container '{unknown[0]}': expected one of {names}.")
        return [one for one in found if not wanted or any(one.is_called(name) for name in wanted)]


def output(command: list[str]) -> str:
    """Return what a command prints. Where the command fails, end with the error that it printed."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise SystemExit(f"{error.filename} is not installed here. Run ./sse up, which installs the engine.") from None
    if run.returncode:
        raise SystemExit(run.stderr.strip() or f"{shlex.join(command)} ended with {run.returncode}")
    return run.stdout


class Parser(argparse.ArgumentParser):
    """A parser whose errors end with 1, as every failure does; 2 is for findings."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end."""
        unknown = re.match(r"unrecognized arguments: (--[^\s=]+)", message)
        near = difflib.get_close_matches(unknown[1], self._option_string_actions, n=1) if unknown else []
        message += f": did you mean '{near[0]}'?" if near else ""
        self.print_usage(sys.stderr)
        self.exit(1, f"sse: {message}{'' if message.endswith('?') else '.'} {self.prog} -h has examples.\n")


def parser(*, become: bool = False) -> argparse.ArgumentParser:
    """Return a parser with the help of the verb, and with the options by which every tool finds its host.

    :param become: the tool runs a module as root, for which sudo may ask for a password
    """
    name = Path(sys.argv[0]).stem
    verb = VERBS[name]
    lines = ["examples:", *(f"  ./sse {command}\n      {what}" for command, what in verb.examples)]
    lines += ["exit codes:", "  0  all is fine", "  1  it failed, or was refused; the message says why"]
    lines += [f"  2  {verb.findings}"] if verb.findings else []
    made = Parser(
        prog=f"./sse {name}",
        description=f"{verb.purpose} {verb.more}".strip(),
        epilog="\n".join(lines),
        formatter_class=argparse.RawTextHelpFormatter,
    )
    made.add_argument("-i", "--inventory", help="use this inventory (default: inventory/local, which is this machine)")
    made.add_argument("-l", "--limit", help="choose this host of an inventory that has several")
    made.add_argument(
        "-e", "--extra-vars", action="append", default=[], help="set a variable, as in -e stack_name=demo"
    )
    if become:
        made.add_argument("-K", "--ask-become-pass", action="store_true", help="ask for the password of sudo")
    return made


def host(options: argparse.Namespace) -> Host:
    """Return the one host that these options choose. Ansible describes it, because an inventory may hold templates."""
    chosen = "{{ hostvars[inventory_hostname] | dict2items | selectattr('key', 'in', %s) | items2dict }}"
    name, result = ansible(options, "ansible.builtin.debug", {"msg": chosen % list(CONNECTION)})
    variables: dict[str, object] = result["msg"]
    local = variables.get("ansible_connection") == "local"
    user = variables.get("ansible_user")
    root = os.geteuid() == 0 if local else user == "root"
    return Host(
        ssh=() if local else ssh(name, variables),
        sudo=() if root else ("sudo",),
        stack=str(variables.get("stack_name", "sse")),
    )


def ssh(name: str, variables: Mapping[str, object]) -> tuple[str, ...]:
    """Return the ssh command that the connection variables of the inventory describe; the target is the last word."""
    command = ["ssh"]
    if "ansible_port" in variables:
        command += ["-p", str(variables["ansible_port"])]
    if "ansible_ssh_private_key_file" in variables:
        command += ["-i", str(Path(str(variables["ansible_ssh_private_key_file"])).expanduser())]
    for key in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        command += shlex.split(str(variables.get(key, "")))
    target = str(variables.get("ansible_host", name))
    return (*command, f"{variables['ansible_user']}@{target}" if "ansible_user" in variables else target)


def module(options: argparse.Namespace, name: str, arguments: Mapping[str, object]) -> Json:
    """Run a module of the collection as root on the one host that these options choose, and return its result."""
    given = {"stack": '{{ stack_name | default("sse") }}', **arguments}
    if not (options.inventory or options.ask_become_pass):  # then the host is this machine
        found = surroundings.sudo()
        if found.state == "impossible":
            raise SystemExit(f"sse: {surroundings.refusal(found.why)}")
    more = ["--become", *(["-K"] if options.ask_become_pass else [])]
    return ansible(options, f"sse.platform.{name}", given, *more)[1]


def ansible(options: argparse.Namespace, name: str, arguments: Mapping[str, object], *more: str) -> tuple[str, Json]:
    """Run any module on the one host that these options choose; return the name of the host and the result."""
    inventory = options.inventory or str(inventories.LOCAL)
    if problem := inventories.missing([inventory]):
        raise SystemExit(f"sse: {problem}")
    program = str(Path(sys.executable).with_name("ansible"))
    command = [program, options.limit or "all", "-i", inventory, "-m", name, "-a", json.dumps(arguments), *more]
    for variables in options.extra_vars:
        command += ["-e", variables]
    shown = {"ANSIBLE_STDOUT_CALLBACK": "minimal", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"}
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=os.environ | shown)
    decoder = json.JSONDecoder()
    found = {match[1]: decoder.raw_decode(run.stdout, match.end())[0] for match in RESULT.finditer(run.stdout)}
    if len(found) > 1:
        raise SystemExit(f"Choose one host with -l: {', '.join(found)}.")
    if not found:
        if run.returncode:  # Ansible has said why
            raise SystemExit(run.stdout.strip() or 1)
        raise SystemExit(run.stdout.strip() or f"sse: {inventories.no_host([inventory], options.limit or 'all')}")
    ((host_name, result),) = found.items()
    if run.returncode or result.get("failed") or result.get("unreachable"):
        raise SystemExit(result.get("msg") or run.stdout.strip())
    return host_name, result


def releases(options: argparse.Namespace) -> list[Release]:
    """Return the newest release of each project of the stack."""
    state = '{{ stack_state_directory | default("/var/lib/" ~ stack_name | default("sse") ~ "-platform") }}'
    found = module(options, "status", {"state_directory": state})["releases"]
    if not found:
        raise SystemExit("Nothing was deployed here. Run ./sse up first.")
    return found
