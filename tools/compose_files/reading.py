"""Read what is audited out of a Compose file: https://github.com/compose-spec/compose-spec/blob/main/spec.md."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ansible_collections.sse.platform.plugins.module_utils.views import project
from compose_files import ports, schema
from compose_files.loading import Loading, beside, there, variables
from compose_files.nodes import Node, ProjectError, of

DEFAULT = "default"  # the network of a service that names none
OF_OTHERS = ("service:", "container:")  # modes in which a container has the network namespace of another one


def read(files: Sequence[Path], env_files: Sequence[Path] = (), named: bool = True) -> project.Project:
    """Read the Compose files of a project, the later ones over the earlier ones.

    :param named: the files were named, so Compose puts no other file over them
    :raises ProjectError: naming the file, the line, what was expected and what was found
    """
    home = files[0].parent
    loading = Loading()
    given = variables(env_files or [home / ".env"], os.environ, bool(env_files))
    values = {**given, **os.environ}
    top = loading.project(files, home, values)
    if named and len(files) == 1:
        over = [one for one in beside(files[0]) if there(home / one)]
        instead = f"name the directory {home} to read it over {files[0].name}"
        loading.notes += [f"{one} is not read: {instead}" for one in over]
    name = values.get("COMPOSE_PROJECT_NAME") or str(top["name"]) or home.resolve().name
    return whole(top, name, loading, values)


# What one file lacks, the file may have that it is written over.
OVER_ANOTHER = "; where this file only changes another one, name that one before it (./sse audit FIRST THIS)"


def parse(document: object, name: str) -> project.Project:
    """Read plain values as a Compose file.

    :raises ProjectError: where they are none; the message names the place
    """
    top = of(document)
    for one in schema.problems(top):
        raise one.node.refused(one.expected, one.found)
    return whole(top, str(top["name"]) or name, Loading(), {})


def whole(top: Node, name: str, loading: Loading, values: Mapping[str, str]) -> project.Project:
    """Read a file in which everything was put together."""
    given = top["services"].mapping()
    if not given:
        raise top["services"].refused("at least one service", "none")
    notes = loading.notes
    services = tuple(service(key, one, notes, values) for key, one in given.items())
    declared = top["networks"].mapping()
    if not loading.partial:
        for problem in contradictions(top, given, set(declared)):
            # Of 58 files of three public projects, 14 were such files.
            raise ProjectError(f"{problem}{OVER_ANOTHER}") if loading.files == 1 else problem
    if any(DEFAULT in one.networks for one in services):
        declared = {DEFAULT: Node(None), **declared}
    networks = tuple(project.Network(key, named(one)) for key, one in declared.items())
    return project.Project(name, services, networks, tuple(dict.fromkeys(notes)))


def named(network: Node) -> bool:
    """Tell whether the real name of a network does not come from the name of a directory."""
    external = network["external"]
    return bool(network["name"]) or isinstance(external.value, dict) or external.flag()


def contradictions(top: Node, given: Mapping[str, Node], networks: set[str]) -> Iterator[ProjectError]:
    """Yield what Compose refuses, though every single value is right."""
    for name, one in given.items():
        if not (one["image"] or one["build"] or one["provider"]):
            yield one.refused(f"an image or a build for the service '{name}'", "neither")
        if one["network_mode"] and one["networks"]:
            yield one["networks"].refused("either network_mode or networks", "both")
        yield from absent(one["networks"], "networks", {*networks, DEFAULT})
        required = {key: entry for key, entry in named_entries(one["depends_on"]) if not optional(entry)}
        for key, entry in required.items():
            if key not in given:
                yield entry.refused(f"one of the services {', '.join(given)}", f"'{key}'")
        mode = str(one["network_mode"])
        if mode.startswith("service:") and mode.partition(":")[2] not in given and not one["network_mode"].unknown:
            yield one["network_mode"].refused(f"one of the services {', '.join(given)}", f"'{mode}'")
        for kind in ("secrets", "configs"):
            known = top[kind].mapping()
            for entry in one[kind].items():
                source = str(entry["source"] if isinstance(entry.value, dict) else entry)
                if source not in known and not entry.unknown:
                    yield entry.refused(f"one of the {kind} {', '.join(known) or '(there is none)'}", f"'{source}'")


def optional(entry: Node) -> bool:
    """Tell whether a service of depends_on may be absent."""
    return isinstance(entry.value, dict) and bool(entry["required"]) and not entry["required"].flag()


def waits_for_end(entry: Node) -> bool:
    """Tell whether a service of depends_on is one that has to end first, and is never asked whether it is ready."""
    return isinstance(entry.value, dict) and str(entry["condition"]) == "service_completed_successfully"


def named_entries(node: Node) -> list[tuple[str, Node]]:
    """Return what a list of names, or a mapping, names."""
    return [(str(one), one) for one in node.items()] if isinstance(node.value, list) else list(node.mapping().items())


def absent(node: Node, kind: str, known: set[str]) -> Iterator[ProjectError]:
    """Yield names that nothing declares."""
    for key, one in named_entries(node):
        if key not in known and "${" not in key:
            yield one.refused(f"one of the {kind} {', '.join(sorted(known))}", f"'{key}'")


def service(name: str, given: Node, notes: list[str], values: Mapping[str, str]) -> project.Service:
    """Read one service."""
    mode = str(given["network_mode"])
    networks = tuple(given["networks"].names()) or (() if mode else (DEFAULT,))
    limits = given["deploy"]["resources"]["limits"]
    check = given["healthcheck"]
    published = tuple(port for one in given["ports"].items() for port in ports.read(one, notes))
    shared = mode in {"host", "none"} or mode.startswith(OF_OTHERS)
    if shared and published:
        where = given["ports"].place
        notes.append(f"{where}{given['ports'].path}: publishes nothing with network_mode: {mode}")
    mounts = [str(one if isinstance(one.value, str) else one["source"]) for one in given["volumes"].items()]
    return project.Service(
        name=name,
        networks=(project.DEFAULT_BRIDGE,) if mode == project.DEFAULT_BRIDGE else networks,
        mode="" if mode == project.DEFAULT_BRIDGE else mode,
        ports=() if shared else published,
        environment=environment(given, notes, values),
        checked=bool(check) and not check["disable"].flag() and list(map(str, check["test"].items()))[:1] != ["NONE"],
        needs=tuple(name for name, entry in named_entries(given["depends_on"]) if not waits_for_end(entry)),
        # What a provider gives is no container.
        memory=given["mem_limit"].limit() or limits["memory"].limit() or bool(given["provider"]),
        pids=given["pids_limit"].limit() or limits["pids"].limit() or bool(given["provider"]),
        privileged=given["privileged"].flag(),
        engine_socket=given["use_api_socket"].flag() or any(project.holds_socket(one.split(":")[0]) for one in mounts),
        profiles=tuple(str(one) for one in given["profiles"].items()),
    )


def environment(given: Node, notes: list[str], values: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a service: that of its files, and its own over it."""
    found: dict[str, str] = {}
    for one in given["env_file"].items():
        entry = one["path"] if isinstance(one.value, dict) else one
        path = one.place.home / str(entry)
        if there(path):
            raw = isinstance(one.value, dict) and str(one["format"]) == "raw"
            found |= raw_variables(path) if raw else variables([path], values)
        elif not optional(one):
            notes.append(f"{one.place}{one.path}: there is no file {path}, so what it sets is unknown")
    for key, one in given["environment"].pairs().items():
        if one.value is not None or key in values:
            found[key] = str(one) if one.value is not None else values[key]
    return found


def raw_variables(path: Path) -> dict[str, str]:
    """Return the variables of a file whose values are taken as they stand."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise ProjectError(f"{path}: expected a file of variables in UTF-8, found none") from None
    lines = [line for line in text.splitlines() if re.match(r"\s*[A-Za-z_]", line)]
    return project.variables(line.strip() for line in lines)
