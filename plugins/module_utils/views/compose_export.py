# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A release as a Compose file: https://github.com/compose-spec/compose-spec/blob/main/spec.md.

It starts beside the stack under another project name: containers and networks have no fixed names and addresses, each
published port is a variable, and the data begin empty. Config and secrets are read from the files of the stack, so it
works on its host. (Compose cannot write files into a container with a read-only root file system.)
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Spec

Json = dict[str, Any]
PYTHON = re.compile(r"(.*/)?python3?(\.\d+)?")
# Gives a program the files that it takes, as deploy/program.py does on the host.
TELL = """
import json, pathlib, subprocess, sys
code, *takes = sys.argv[1:]
now = {str(path): path.read_text() for one in takes for path in pathlib.Path(one).rglob("*") if path.is_file()}
given = json.dumps({"now": now, "before": {}})
sys.exit(subprocess.run([sys.executable, "-I", "-c", code], input=given, text=True).returncode)
"""
# Waits until names resolve, and becomes the program that follows.
WAIT = 'for one in $1; do until getent hosts "$one" >/dev/null; do sleep 0.2; done; done; shift; exec "$@"'
HEAD = (
    "# Release {number} of the stack {stack} as a Compose file, for this host.",
    "# Start it beside the stack: PORT_<number>=<another> for each published port, then",
    "#   docker compose -p another-name -f this-file up -d",
)


def text(
    number: int,
    stack: str,
    containers: Mapping[str, Spec],
    files: Mapping[str, Mapping[str, str]],
    shared: Mapping[str, str],
) -> str:
    """Return the file. JSON is YAML, too; one key of a service stands on each line.

    :param containers: by full name
    :param files: the directories of config and secrets on the host, by full name and by where they are mounted
    :param shared: the names of the directories that containers share, by their path on the host
    """
    lines = [one.format(number=number, stack=stack) for one in HEAD]
    if untold := [] if with_python(containers) else [one["container"] for one in containers.values() if program(one)]:
        lines += [
            f"# No image of this release has Python, so nothing tells {', '.join(untold)} its users and rights:",
            "# clients are refused until somebody does. In the stack itself, ./sse up does it.",
        ]
    for key, section in document(stack, containers, files, shared).items():
        if isinstance(section, str):
            lines.append(f"{key}: {json.dumps(section)}")
            continue
        lines.append(f"{key}:")
        for name, one in section.items():
            lines.append(f"  {name}:" if one else f"  {name}: {{}}")
            lines += [f"    {part}: {json.dumps(value)}" for part, value in one.items()]
    return "".join(f"{line}\n" for line in lines)


def document(
    stack: str,
    containers: Mapping[str, Spec],
    files: Mapping[str, Mapping[str, str]],
    shared: Mapping[str, str],
) -> Json:
    """Return the content of the file."""
    names = {full: one["container"] for full, one in containers.items()}
    python = with_python(containers)
    services: dict[str, Json] = {}
    told = {names[full] for full, one in containers.items() if program(one) and python}
    for full, one in containers.items():
        services[names[full]] = service(one, names, files.get(full, {}), told, shared)
        if any(own(one)):
            services[f"{names[full]}-owner"] = owner(one)
        if names[full] in told:
            services[f"{names[full]}-users"] = teller(one, python, files.get(full, {}))
    networks = dict.fromkeys(name for one in containers.values() for name in one["networks"])
    volumes: Json = {mount["source"]: {} for one in containers.values() for mount in own(one)}
    found: Json = {"name": f"{stack}-compose", "services": services, "networks": {name: {} for name in networks}}
    return found | ({"volumes": volumes} if volumes else {})


def program(one: Spec) -> str:
    """Return the program that a run starts after a container, such as one that makes users; or nothing."""
    reload = one.get("reload") or {}
    return reload.get("program") or "" if reload.get("at_start", True) else ""


def with_python(containers: Mapping[str, Spec]) -> str:
    """Return an image of the release that has Python, which these programs need; or nothing."""
    words = ((one["image"], (*one["entrypoint"], *one["command"])[:1]) for one in containers.values())
    return next((image for image, first in words if first and PYTHON.fullmatch(first[0])), "")


def teller(one: Spec, python: str, files: Mapping[str, str]) -> Json:
    """Return the service that runs the program of a container beside it, as a run does on the host, and then ends."""
    reload = one.get("reload") or {}
    takes = reload.get("takes") or []
    return {
        "image": python,
        "entrypoint": [literal(word) for word in ("python3", "-I", "-c", TELL, program(one), *takes)],
        "user": one["user"],
        "network_mode": f"service:{one['container']}",
        "depends_on": {one["container"]: {"condition": "service_healthy"}},
        "volumes": [
            {"type": "bind", "source": files[target], "target": target, "read_only": True}
            for target in takes
            if target in files
        ],
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "on-failure:5",
    }


def service(
    one: Spec, names: Mapping[str, str], files: Mapping[str, str], told: Collection[str], shared: Mapping[str, str]
) -> Json:
    """Return one container as a service of the file; what is empty is left out.

    :param told: the containers that a program tells their users before others may ask them
    """
    keys: Json = {
        "image": one["image"],
        "hostname": one["container"],
        "entrypoint": [literal(word) for word in started(one, names.values())],
        "command": [literal(word) for word in one["command"]],
        "user": one["user"],
        "environment": {name: literal(value) for name, value in one["environment"].items()},
        "volumes": list(mounts(one, files, shared)),
        "tmpfs": [f"{path}:size={size},mode=1777,noexec,nosuid,nodev" for path, size in one["tmpfs"].items()],
        "networks": {name: {"aliases": one["aliases"]} for name in one["networks"]},
        "extra_hosts": {name: address for name, address in one["hosts"].items() if not address[:1].isdigit()},
        "ports": [
            {
                "target": on["container_port"],
                "published": f"${{PORT_{on['host_port']}:-{on['host_port']}}}",
                "host_ip": on["host_ip"],
                "protocol": "tcp",
            }
            for on in one["ports"]
        ],
        "depends_on": dict(needs(one, names, told)),
        "healthcheck": check(one),
        "mem_limit": one["memory"],
        "memswap_limit": one["memory"],
        "pids_limit": one["pids"],
        "cpu_shares": one.get("cpu_shares", 1024),
        "ulimits": {"nofile": one["open_files"], "core": 0},
        "init": one["init"],
        "read_only": one["read_only"],
        "cap_drop": ["ALL"],
        "cap_add": one["capabilities"],
        "security_opt": ["no-new-privileges:true"],
        "sysctls": one["sysctls"],
        "group_add": one["group_add"],
        "stop_signal": one["stop_signal"],
        "stop_grace_period": f"{one['stop_timeout']}s",
        "restart": "unless-stopped",
    }
    return {key: value for key, value in keys.items() if value not in ({}, [], "", False)}


def started(one: Spec, there: Iterable[str]) -> list[str]:
    """Return the program of a container, which first waits for the names that it must resolve when it starts.

    In the stack these stand in its /etc/hosts, with addresses that are reserved. Here a name is known while its
    container runs, and two containers may need each other's: while both wait, both run.
    """
    known = sorted(name for name, address in one["hosts"].items() if address[:1].isdigit() and name in set(there))
    return ["sh", "-c", WAIT, "sh", " ".join(known), *one["entrypoint"]] if known else one["entrypoint"]


def mounts(one: Spec, files: Mapping[str, str], shared: Mapping[str, str]) -> Iterator[Json]:
    """Yield a container's volumes: what it writes in volumes of the project, and files of the host read-only.

    A directory that others share with it is one of the project, too: in that of the stack are the sockets of the stack.
    """
    yield from own(one)
    for target, source in {**files, **one["binds"]}.items():
        if source in shared:
            yield {"type": "volume", "source": of_all(shared[source]), "target": target, "read_only": True}
        else:
            yield {"type": "bind", "source": source, "target": target, "read_only": True}


def own(one: Spec) -> Iterator[Json]:
    """Yield the volumes that a container writes."""
    for target, below in one["data"].items():
        yield {"type": "volume", "source": volume(one, below), "target": target}
    for target, below in one.get("shared", {}).items():
        yield {"type": "volume", "source": of_all(below), "target": target}


def needs(one: Spec, names: Mapping[str, str], told: Collection[str]) -> Iterator[tuple[str, Json]]:
    """Yield what a container starts after."""
    for other in one["after"]:
        if other in names:
            yield names[other], {"condition": "service_started"}
        if names.get(other) in told:
            yield f"{names[other]}-users", {"condition": "service_completed_successfully"}
    if any(own(one)):
        yield f"{one['container']}-owner", {"condition": "service_completed_successfully"}


def owner(one: Spec) -> Json:
    """Return the service that gives the volumes of a container to its user, before it starts."""
    return {
        "image": one["image"],
        "entrypoint": ["chown", one["user"], *(mount["target"] for mount in own(one))],
        "user": "0:0",
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "cap_add": ["CHOWN"],
        "volumes": list(own(one)),
        "restart": "no",
    }


def check(one: Spec) -> Json:
    """Return the health check; one that the host makes over HTTP is not known to Compose."""
    found = one["healthcheck"]
    if found["command"] is None:
        return {"disable": True}
    return {
        "test": ["CMD", *(literal(word) for word in found["command"])],
        "interval": f"{found['interval']}s",
        "timeout": f"{found['timeout']}s",
        "retries": found["retries"],
        "start_period": f"{found['start']}s",
    }


def volume(one: Spec, below: str) -> str:
    """Name a volume."""
    return f"{one['container']}-{below}".replace("/", "-")


def of_all(below: str) -> str:
    """Name the volume of a directory that several containers share."""
    return f"shared-{below}"


def literal(value: str) -> str:
    """Keep Compose from taking a dollar sign for a variable."""
    return value.replace("$", "$$")
