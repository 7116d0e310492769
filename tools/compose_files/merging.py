"""Put one Compose file over another by the rules of the Compose Specification (13-merge)."""

from __future__ import annotations

from dataclasses import replace

from compose_files.nodes import OVERRIDE, RESET, Node

# Below a service. What is in none of these sets: mappings are merged key by key, lists are appended.
REPLACED = {("command",), ("entrypoint",), ("healthcheck", "test")}
PAIRS = {
    *(("environment",), ("labels",), ("annotations",), ("sysctls",), ("extra_hosts",), ("deploy", "labels")),
    *(("build", "args"), ("build", "labels"), ("build", "extra_hosts"), ("build", "additional_contexts")),
}
NAMED = {("networks",), ("depends_on",), ("models",)}
BY_TARGET = {("volumes",), ("devices",)}


def merge(base: Node | None, over: Node, path: tuple[str, ...] = ()) -> Node:
    """Return what two files say of one thing, the second one over the first."""
    below = path[2:] if path[:1] == ("services",) else ("",)  # within a service
    if base is None or over.tag or below in REPLACED:
        return over
    if base.tag == RESET:
        return replace(over, tag=OVERRIDE)  # of a service and its base: it also replaces what earlier files say
    if below in PAIRS:
        return mapping(pairs(base), pairs(over), path, over)
    if below in NAMED:
        return mapping(named(base), named(over), path, over)
    if below == ("build",):
        base, over = context(base), context(over)
    if isinstance(base.value, dict) and isinstance(over.value, dict):
        return mapping(base.value, over.value, path, over)
    if below in BY_TARGET:
        targets = {target(one): one for one in [*base.items(), *over.items()]}
        return replace(over, value=list(targets.values()))
    if isinstance(base.value, list) or (isinstance(over.value, list) and base.value is not None):
        both = [*base.items(), *over.items()]
        seen: dict[str, Node] = {repr((one.value, one.tag)): one for one in both if one.tag != RESET}
        return replace(over, value=list(seen.values()))
    return base if over.value is None else over


def mapping(base: dict[str, Node], over: dict[str, Node], path: tuple[str, ...], made: Node) -> Node:
    """Merge two mappings key by key."""
    merged = {**base, **{key: merge(base.get(key), one, (*path, key)) for key, one in over.items()}}
    return replace(made, value=merged)


def pairs(node: Node) -> dict[str, Node]:
    """Return a list of NAME=value as a mapping; of extra_hosts, NAME:value, too."""
    if not isinstance(node.value, list):
        return node.mapping()
    if node.path.endswith("extra_hosts"):
        return {str(one): one for one in node.items()}
    return node.pairs()


def named(node: Node) -> dict[str, Node]:
    """Return a list of names as a mapping."""
    if not isinstance(node.value, list):
        return node.mapping()
    return {str(one): replace(one, value=None) for one in node.items()}


def context(node: Node) -> Node:
    """Return a build that is only a directory in its long form."""
    if isinstance(node.value, dict) or node.value is None:
        return node
    return replace(node, value={"context": node})


def target(one: Node) -> str:
    """Return where a volume or a device stands in the container."""
    if isinstance(one.value, dict):
        return str(one["target"])
    parts = str(one).split(":")
    windows = len(parts) > 2 and len(parts[0]) == 1 and parts[1].startswith("\\")
    parts = parts[1:] if windows else parts
    return parts[1] if len(parts) > 1 else parts[0]


def settled(node: Node) -> Node:
    """Return the node without what was reset, and without the tags of Compose."""
    if isinstance(node.value, dict):
        kept = {key: settled(one) for key, one in node.value.items() if one.tag != RESET}
        return replace(node, value=kept, tag="")
    if isinstance(node.value, list):
        return replace(node, value=[settled(one) for one in node.value if one.tag != RESET], tag="")
    return replace(node, tag="")
