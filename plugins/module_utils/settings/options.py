# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The public variables of every role, as meta/argument_specs.yml and meta/values.yml beside it declare them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.model import spec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from typing_extensions import NotRequired  # for the type checker only: Python 3.10 does not have it


class Refusal(TypedDict):
    """A combination of values that is refused, and how to say so."""

    when: dict[str, Any]  # by variable
    given: NotRequired[str]  # another variable, which has to be given
    holds: NotRequired[dict[str, str]]  # by variable: one of its items begins so
    because: str
    expected: str


class Opening(TypedDict, total=False):
    """What a value of a variable opens."""

    value: Any  # with which it opens something; without it every other value may
    what: str


class Option(TypedDict, total=False):
    """One public variable."""

    # From meta/argument_specs.yml, as far as it is read here.
    type: str
    elements: str
    choices: list[str]
    no_log: bool
    # From meta/values.yml: which values of its type the variable may have.
    minimum: int
    maximum: int
    unit: str  # such as seconds
    pattern: str  # a regular expression for the whole text
    least: str  # the smallest size, such as 6m
    most: str  # and the largest
    below: str  # another size: a container of that memory could not hold this one
    key_pattern: str  # the same for every key of a dictionary
    item_pattern: str  # the same for every item of a list or a dictionary
    item_types: list[str]  # of the items of a dictionary: str, dict or bool
    item_lists: dict[str, str]  # each item of a dictionary is a dictionary of lists: by key, the pattern of their items
    format: str  # one of FORMATS below, or of CHECKS in values.py
    expected: str  # the values in words, where the keys above do not tell them
    # From meta/values.yml: how it depends on other settings.
    needs: str  # where this variable is given, this other one must be given, too
    scales: str  # it is the number of containers of this service, which `./sse scale` sets
    only_if: dict[str, Any]  # this variable must not be given unless these settings have these values
    refused: list[Refusal]
    # From meta/values.yml: what it means for who reaches the platform, or may use it, when it goes back by itself.
    opens: Opening
    # From meta/values.yml: what is tried on the controller before anything changes.
    paths: dict[str, str]  # where in the value paths stand (paths.py says how), each of a file or a directory
    read_by: str  # the Python module below app/ that reads the file as the service will, with its first argument
    authorities: bool  # the file holds the certificates of authorities
    private: bool  # the file holds a secret: a run tells where others can read it
    key_of: str  # this file is the key of the certificate that this other variable names


# What several variables have in common: `format: size` stands for these keys.
FORMATS: dict[str, Option] = {
    "published_port": {"minimum": 1, "maximum": 65535},  # no two of them may be equal
    "size": {"pattern": "[1-9][0-9]*[kmg]", "most": spec.MOST_MEMORY, "expected": "a size such as 256m or 1g"},
    "memory": {
        "pattern": "[1-9][0-9]*[kmg]",
        "least": spec.LEAST_MEMORY,
        "most": spec.MOST_MEMORY,
        "expected": f"a size such as 256m or 1g, from {spec.LEAST_MEMORY} (the least that Docker gives a container) to "
        f"{spec.MOST_MEMORY}",
    },
    "file": {"expected": "'' or the path of a readable file", "paths": {"": "file"}},
    "authorities": {
        "expected": "'' or the path of a readable file of certificates in PEM",
        "paths": {"": "file"},
        "authorities": True,
    },
    "ipv4_address": {"expected": "an IPv4 address such as 127.0.0.1"},
    "environment": {
        "key_pattern": "[A-Za-z_][A-Za-z0-9_]*",
        "item_pattern": r"[^\x00]*",
        "expected": "a dictionary of variable names and text (put numbers and true or false in quotes)",
    },
}


def load(roles: Path, read: Callable[[bytes], Any]) -> dict[str, dict[str, Option]]:
    """Return the options of every role's main entry point, by role and variable.

    :param read: reads YAML, such as yaml.safe_load
    """
    found: dict[str, dict[str, Option]] = {}
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        specs: dict[str, Any] = read(path.read_bytes())["argument_specs"].get("main", {}).get("options") or {}
        values = path.with_name("values.yml")
        limits: dict[str, Any] = read(values.read_bytes()) if values.exists() else {}
        found[path.parts[-3]] = {name: option(one, limits.get(name, {})) for name, one in specs.items()}
    return found


def openings(options: Mapping[str, Option]) -> dict[str, Opening]:
    """Return what each variable that can open something opens."""
    return {name: one["opens"] for name, one in options.items() if "opens" in one}


def option(declared: dict[str, Any], limits: dict[str, Any]) -> Option:
    """Put together what both files say about one variable."""
    return cast("Option", {**declared, **FORMATS.get(limits.get("format", ""), {}), **limits})
