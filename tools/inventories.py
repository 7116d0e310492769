"""What is wrong with the inventory of a command line: it is not there, or no host of it is meant."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from nearest import did_you_mean

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / "inventory" / "local"


def values(words: Sequence[str], *flags: str) -> list[str]:
    """Return the values of an option in a command line, as in -i X, -iX, --inventory X and --inventory=X."""
    found: list[str] = []
    for index, word in enumerate(words):
        if word in flags:
            found += words[index + 1 : index + 2]
        else:
            heads = [flag + "=" if flag.startswith("--") else flag for flag in flags]
            # argparse takes "-i=X" for "-i X".
            found += [word[len(head) :].removeprefix("=") for head in heads if word.startswith(head)]
    return found


def missing(inventories: Iterable[str]) -> str:
    """Say which inventory is not there; empty where all are."""
    exported = os.environ.get("ANSIBLE_INVENTORY", "")
    for one in list(inventories) or [exported or str(LOCAL)]:
        # Unlike those of Path, these two raise nothing, whatever user, length or closed directory a path names.
        if "," not in one and not os.path.exists(os.path.expanduser(one)):  # noqa: PTH110, PTH111
            there = [f"inventory/{path.name}" for path in sorted((ROOT / "inventory").iterdir()) if path.is_dir()]
            return (
                f"There is no inventory '{one}', or you may not read it: expected a file or a directory, such as "
                f"{' or '.join(there)}, or a list of hosts with a comma at its end, such as -i 'vm,'. Nothing was done."
            )
    return ""


MOST = 2**20  # characters, more than the hosts of any cluster need
GROUP = "managers"  # of an inventory whose hosts are one cluster
INI = re.compile(rf"^\s*\[{GROUP}(:children)?\]", re.MULTILINE)


def is_cluster(inventories: Iterable[str]) -> bool:
    """Tell whether the hosts of an inventory are one cluster: they have managers."""
    chosen = list(inventories) or (os.environ.get("ANSIBLE_INVENTORY", "") or str(LOCAL)).split(",")
    if missing(chosen):
        return False  # which is told where they are used
    places = [Path(one).expanduser() for one in chosen if "," not in one]
    files = [path for place in places for path in ([place] if place.is_file() else sorted(place.glob("*")))]
    return any(has_managers(path) for path in files if path.is_file())


def has_managers(path: Path) -> bool:
    """Tell whether a file of an inventory has the group, in whatever form Ansible takes it."""
    text = text_of(path)
    # A program, or what a plugin makes hosts of: nobody but Ansible knows its groups.
    if (text.startswith("#!") and os.access(path, os.X_OK)) or re.search(r"^plugin\s*:", text, re.MULTILINE):
        return bool(hosts([str(path)], GROUP))
    if GROUP not in text:
        return False
    if path.suffix in (".yml", ".yaml", ".json"):
        return is_group(text)
    return bool(INI.search(text)) or is_group(text)  # Ansible tells the form by the content, too


def is_group(text: str) -> bool:
    """Tell whether an inventory in YAML or JSON has the group; a variable may have its name."""
    yaml: Any = importlib.import_module("yaml")  # here, because it takes time
    try:
        top = yaml.compose(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return False  # which is told where it is used
    left, seen = [top], set[int]()
    while left:
        groups = left.pop()
        for name, group in pairs(groups):
            if name == GROUP:
                return True
            left += [one for key, one in pairs(group) if key == "children" and id(one) not in seen]
        seen.add(id(groups))
    return False


def pairs(node: Any) -> list[tuple[str, Any]]:
    """Return the keys of a mapping of YAML and what they have; none where it is something else."""
    value: Any = getattr(node, "value", None)
    found = cast("list[tuple[Any, Any]]", value) if getattr(node, "id", "") == "mapping" else []
    return [(str(key.value), one) for key, one in found]


# What reads what one host keeps, which in a cluster is the first manager.
OF_FIRST_MANAGER = ("releases", "diff", "history")
# What works on the hosts of a cluster together.
OF_CLUSTERS = (
    *("up", "scale", "plan", "rollback", "status", "verify", "drift", "doctor", "scan", "audit", "diagram"),
    *("logs", "exec", "restart", "probe", "capture", "forward"),
    *(*OF_FIRST_MANAGER, "node", "destroy", "backup", "restore", "bundle", "rotate"),
    *("reload", "alert-test"),
    *("pause", "resume", "abort"),
)
# Those of them that one host has not.
OF_CLUSTERS_ALONE = ("node", "forward")


# Why a verb knows one host alone, and what to do in a cluster instead.
INSTEAD = {
    "compose": (
        "a Compose file starts containers on one host",
        "./sse releases show says what runs. A backup of the cluster comes back on one host, where ./sse compose works",
    ),
    "dashboard": (
        "the dashboard is one of the services that a run brings to the hosts",
        "./sse up changes only what differs, and ./sse forward opens the dashboard",
    ),
    "lab": ("it makes networks and containers for a lesson on one host", "Run it on a machine that is in no cluster"),
    **dict.fromkeys(
        ("publish", "listen"),
        ("a cluster has an address for each edge", "Say which one is meant, as by --url https://ADDRESS"),
    ),
}


def of_one_host(verb: str, inventories: Sequence[str]) -> str:
    """Say that a verb knows one host alone, and these inventories are a cluster."""
    why, instead = INSTEAD.get(verb, ("it is about one host", "docs/cluster.md says what a cluster has"))
    return (
        f"./sse {verb} is not available with deployment: swarm: {why}, and the hosts of {shown(inventories)} are one "
        f"cluster (they have managers). {instead}. Nothing was done."
    )


def of_clusters_alone(verb: str, inventories: Sequence[str]) -> str:
    """Say that a verb is about the hosts of a cluster, and these inventories are none."""
    return (
        f"./sse {verb} is about the hosts of a cluster, and the hosts of {shown(inventories)} are none (they have no "
        "managers). docs/cluster.md says how several hosts become one. Nothing was done."
    )


def text_of(path: Path) -> str:
    """Return the beginning of a text; empty where it can't be read, of which Ansible tells."""
    try:
        with path.open(errors="replace") as file:
            return file.read(MOST)  # archives may be beside the hosts
    except OSError:
        return ""


def no_host(inventories: Sequence[str], limit: str) -> str:
    """Say that no host is meant, and which hosts there are."""
    named = shown(inventories)
    there = hosts(inventories)
    if not there:
        return f"The inventory {named} has no host, so nothing was done. inventory/vm-example/hosts.yml shows one."
    meant = did_you_mean(limit, there)
    return f"No host of the inventory {named} is meant by '{limit}'{meant} Its hosts are {', '.join(there)}."


def hosts(inventories: Sequence[str], group: str = "all") -> list[str]:
    """Return the hosts of an inventory, or of one of its groups, as Ansible reads it."""
    command = ["ansible", group, "--list-hosts", *words(inventories)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line.strip() for line in listed.stdout.splitlines()[1:]] if listed.returncode == 0 else []


def words(inventories: Iterable[str]) -> list[str]:
    """Return inventories as Ansible takes them."""
    return [word for one in inventories for word in ("-i", one)]


def shown(inventories: Sequence[str]) -> str:
    """Say where the hosts come from: from the command line, from the environment, or from the default."""
    if inventories:
        return ", ".join(inventories)
    exported = os.environ.get("ANSIBLE_INVENTORY", "")
    return f"{exported} (ANSIBLE_INVENTORY)" if exported else "inventory/local"


def is_this_machine(inventories: Sequence[str]) -> bool:
    """Tell whether nobody chose an inventory: the host is this machine then."""
    return not inventories and not os.environ.get("ANSIBLE_INVENTORY")
