# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Read a Compose file: https://github.com/compose-spec/compose-spec/blob/main/spec.md.

A variable in it, such as ``${TAG}``, is taken as text: what is audited seldom depends on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4
from ansible_collections.sse.platform.plugins.module_utils.views import project

Value: TypeAlias = "dict[str, Value] | list[Value] | str | float | bool | None"  # what YAML holds
DEFAULT = "default"  # the network of a service that names none
PORT = re.compile(
    r"(?:(?:\[(?P<v6>[0-9a-fA-F:]+)\]|(?P<v4>\d+(?:\.\d+){3})):)?(?:(?P<host>\d+)(?:-\d+)?:)?(?P<container>\d+)(?:-\d+)?"
    r"(?:/(?:tcp|udp|sctp))?\Z"
)


@dataclass(frozen=True)
class Node:
    """A value of the file, and its path there. What is absent is None."""

    value: Value
    path: str = ""

    def __getitem__(self, key: str) -> Node:
        """Return the value of a key of a mapping."""
        return self.mapping().get(key, Node(None, f"{self.path}.{key}".lstrip(".")))

    def mapping(self) -> dict[str, Node]:
        """Return the values of a mapping by their keys."""
        given = {} if self.value is None else self.value
        if not isinstance(given, dict):
            raise self.refused("a mapping")
        return {str(key): Node(one, f"{self.path}.{key}".lstrip(".")) for key, one in given.items()}

    def items(self) -> list[Node]:
        """Return the values of a list."""
        given = [] if self.value is None else self.value
        if not isinstance(given, list):
            raise self.refused("a list")
        return [Node(one, f"{self.path}[{index}]") for index, one in enumerate(given)]

    def names(self) -> tuple[str, ...]:
        """Return names that are a list or the keys of a mapping."""
        return tuple(map(str, self.items())) if isinstance(self.value, list) else tuple(self.mapping())

    def __str__(self) -> str:
        """Return the value as text; empty where it is absent."""
        return "" if self.value is None else str(self.value)

    def __bool__(self) -> bool:
        """Tell whether the value is there and neither empty nor false."""
        return bool(self.value)

    def refused(self, expected: str, found: str = "") -> project.ProjectError:
        """Return an error that names the place. It shows no value unless it is given: that may be a secret."""
        found = found or f"a value of type {type(self.value).__name__}"
        return project.ProjectError(f"{self.path or 'the file'}: expected {expected}, found {found}")


def parse(document: Value, name: str) -> project.Project:
    """Read a Compose file.

    :param name: the name of the project where the file gives none
    :raises ProjectError: where this is no Compose file; the message names the place
    """
    top = Node(document)
    services = tuple(service(key, one) for key, one in top["services"].mapping().items())
    if not services:
        raise top["services"].refused("at least one service", "none")
    declared = top["networks"].mapping()
    if any(DEFAULT in one.networks for one in services):
        declared.setdefault(DEFAULT, Node(None))
    networks = tuple(project.Network(key, bool(one["name"] or one["external"])) for key, one in declared.items())
    return project.Project(str(top["name"]) or name, services, networks)


def service(name: str, given: Node) -> project.Service:
    """Read one service."""
    mode = str(given["network_mode"])
    networks = given["networks"].names() or (() if mode else (DEFAULT,))
    limits = given["deploy"]["resources"]["limits"]
    check = given["healthcheck"]
    mounts = [str(one if isinstance(one.value, str) else one["source"]) for one in given["volumes"].items()]
    environment = given["environment"]
    return project.Service(
        name=name,
        networks=(project.DEFAULT_BRIDGE,) if mode == project.DEFAULT_BRIDGE else networks,
        mode="" if mode == project.DEFAULT_BRIDGE else mode,
        ports=tuple(map(port, given["ports"].items())),
        environment=project.variables(environment.names())
        if isinstance(environment.value, list)
        else {key: str(one) for key, one in environment.mapping().items()},
        checked=bool(check) and not check["disable"] and check["test"].value not in ("NONE", ["NONE"]),
        needs=given["depends_on"].names(),
        memory=bool(given["mem_limit"] or limits["memory"]),
        pids=bool(given["pids_limit"] or limits["pids"]),
        privileged=bool(given["privileged"]),
        engine_socket=any(one.split(":")[0].endswith(project.ENGINE_SOCKET) for one in mounts),
    )


def port(given: Node) -> project.Port:
    """Read a published port, in the short syntax or in the long one."""
    long = isinstance(given.value, dict)
    text = str(given["target"] if long else given)
    match = PORT.match(text)
    if match is None:
        raise given.refused("[[address:]host port:]container port", repr(text))
    address = str(given["host_ip"]) if long else match["v6"] or match["v4"]
    return project.Port(address or IPV4.wildcard, int(match["container"]))
