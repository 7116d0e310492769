"""What the tools share: the inventory's host, and the platform's containers on it."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# What of an inventory says how a host is reached, and which stack is meant there.
CONNECTION = (
    *("ansible_connection", "ansible_host", "ansible_port", "ansible_user", "ansible_ssh_private_key_file"),
    *("ansible_ssh_common_args", "ansible_ssh_extra_args", "stack_name"),
)
# How Ansible's callback `minimal` begins a host's result.
RESULT = re.compile(r"^(\S+) \| [A-Z!]+ => (?={)", re.MULTILINE)


@dataclass(frozen=True)
class Container:
    """A container of the platform, by its labels."""

    name: str
    service: str
    short: str


@dataclass(frozen=True)
class Host:
    """Where the containers run: this machine, or one reached over SSH."""

    ssh: tuple[str, ...]
    sudo: tuple[str, ...]
    stack: str

    def docker(self, *arguments: str, terminal: bool = False) -> list[str]:
        """Return the command that runs ``docker ARGUMENTS`` there."""
        return self.root("docker", *arguments, terminal=terminal)

    def root(self, *arguments: str, terminal: bool = False) -> list[str]:
        """Return the command that runs these arguments there, as root."""
        command = [*self.sudo, *arguments]
        if not self.ssh:
            return command
        program, *options, target = self.ssh
        return [program, *options, *(["-t"] if terminal else []), target, shlex.join(command)]

    def containers(self, wanted: list[str]) -> list[Container]:
        """Return the containers of these services or names, or all; refuse a name that matches none."""
        form = '{{.Names}}\t{{.Label "sse.platform.service"}}\t{{.Label "sse.platform.container"}}'
        listed = output(self.docker("ps", "-a", "--filter", f"label=sse.platform.stack={self.stack}", "--format", form))
        found = sorted((Container(*line.split("\t")) for line in listed.splitlines()), key=lambda one: one.name)
        if not found:
            raise SystemExit(f"no container of the stack '{self.stack}' here: ./sse up makes them")
        unknown = [name for name in wanted if not any(matches(one, name) for one in found)]
        if unknown:
            names = ", ".join(one.short for one in found)
            raise SystemExit(f"no service or container '{unknown[0]}': there are {names}")
        return [one for one in found if not wanted or any(matches(one, name) for name in wanted)]


def matches(container: Container, name: str) -> bool:
    """Tell whether this name means the container: its service, its short name or its full name."""
    return name in {container.service, container.short, container.name}


def output(command: list[str]) -> str:
    """Return what a command prints; end with its own words where it fails."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise SystemExit(f"{error.filename} isn't installed here: ./sse up installs the engine") from None
    if run.returncode:
        raise SystemExit(run.stderr.strip() or f"{shlex.join(command)} ended with {run.returncode}")
    return run.stdout


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options by which every tool finds its host."""
    made = argparse.ArgumentParser(prog=f"./sse {Path(sys.argv[0]).stem}", description=description)
    made.add_argument("-i", "--inventory", help="inventory (default: inventory/local, this machine)")
    made.add_argument("-l", "--limit", help="the host, where the inventory has several")
    made.add_argument(
        "-e", "--extra-vars", action="append", default=[], help="as for ansible-playbook: -e stack_name=demo"
    )
    return made


def host(options: argparse.Namespace) -> Host:
    """Return the one host that these options choose, as Ansible describes it: inventories may hold templates."""
    chosen = "{{ hostvars[inventory_hostname] | dict2items | selectattr('key', 'in', %s) | items2dict }}"
    name, result = ansible(options, "ansible.builtin.debug", {"msg": chosen % list(CONNECTION)})
    variables: dict[str, Any] = result["msg"]
    local = variables.get("ansible_connection") == "local"
    user = variables.get("ansible_user")
    root = os.geteuid() == 0 if local else user == "root"
    return Host(
        ssh=() if local else ssh(name, variables),
        sudo=() if root else ("sudo",),
        stack=str(variables.get("stack_name", "sse")),
    )


def ssh(name: str, variables: dict[str, Any]) -> tuple[str, ...]:
    """Return the ssh command that the inventory's connection variables describe, target last."""
    command = ["ssh"]
    if "ansible_port" in variables:
        command += ["-p", str(variables["ansible_port"])]
    if "ansible_ssh_private_key_file" in variables:
        command += ["-i", str(Path(str(variables["ansible_ssh_private_key_file"])).expanduser())]
    for key in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        command += shlex.split(str(variables.get(key, "")))
    target = str(variables.get("ansible_host", name))
    return (*command, f"{variables['ansible_user']}@{target}" if "ansible_user" in variables else target)


def asks_become(made: argparse.ArgumentParser) -> None:
    """Add the option of tools that run a module: sudo there may want a password."""
    made.add_argument("-K", "--ask-become-pass", action="store_true", help="ask for sudo's password")


def module(options: argparse.Namespace, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a module of the collection as root on the one host that these options choose; return its result."""
    given = {"stack": '{{ stack_name | default("sse") }}', **arguments}
    more = ["--become", *(["-K"] if options.ask_become_pass else [])]
    return ansible(options, f"sse.platform.{name}", given, *more)[1]


def ansible(
    options: argparse.Namespace, name: str, arguments: dict[str, Any], *more: str
) -> tuple[str, dict[str, Any]]:
    """Run any module on the one host that these options choose; return the host's name and the result."""
    inventory = options.inventory or str(ROOT / "inventory" / "local")
    program = str(Path(sys.executable).with_name("ansible"))
    command = [program, options.limit or "all", "-i", inventory, "-m", name, "-a", json.dumps(arguments), *more]
    for variables in options.extra_vars:
        command += ["-e", variables]
    shown = {"ANSIBLE_STDOUT_CALLBACK": "minimal", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"}
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=os.environ | shown)
    decoder = json.JSONDecoder()
    found = {match[1]: decoder.raw_decode(run.stdout, match.end())[0] for match in RESULT.finditer(run.stdout)}
    if len(found) != 1:
        raise SystemExit(f"choose one host with -l: {', '.join(found)}" if found else run.stdout.strip())
    ((host_name, result),) = found.items()
    if run.returncode or result.get("failed") or result.get("unreachable"):
        raise SystemExit(result.get("msg") or run.stdout.strip())
    return host_name, result


def releases(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the newest release of each project of the stack."""
    state = '{{ stack_state_directory | default("/var/lib/" ~ stack_name | default("sse") ~ "-platform") }}'
    found = module(options, "status", {"state_directory": state})["releases"]
    if not found:
        raise SystemExit("nothing was deployed here: ./sse up does that")
    return found
