"""The files and the text of variables that a command line names, looked at before Ansible begins.

Ansible says what is wrong with them between warnings of its inventory plugins, and takes the last of two equal keys.
No message repeats a value, because a value can be a secret.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import inventories

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Letters of ansible-playbook that take no value may stand before the e; argparse takes "-e=X" for "-e X".
SHORT = re.compile(r"-[bCDJkKv]*e=?(.*)", re.DOTALL)
LONG = "--extra-vars"
EXPECTED = "expected YAML or JSON with variables and values, such as app_replicas: 3"
HOSTS_EXPECTED = "expected groups and hosts, as in inventory/vm-example/hosts.yml"
FORMATS = (".yml", ".yaml", ".json")
VAULT = b"$ANSIBLE_VAULT;"
TAGS = ("!vault", "!vault-encrypted", "!unsafe")
TOP = "a mapping"
# JSON writes a character beyond U+FFFF as two escapes, of which YAML knows neither; Ansible reads JSON as such first.
PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")


def variables(words: Sequence[str]) -> list[str]:
    """Return what -e and --extra-vars give in a command line."""
    found: list[str] = []
    for index, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if word in {"-e", LONG}:
            found += words[index + 1 : index + 2]
        elif len(flag) > 2 and LONG.startswith(flag) and equals:
            found.append(value)
        elif not word.startswith("--") and (short := SHORT.fullmatch(word)) and short[1]:
            found.append(short[1])
    return found


def problem(given: Sequence[str], chosen: Sequence[str]) -> str:
    """Say in one line what is wrong with the variables or the inventories of a command; empty where nothing is.

    :param given: the values of -e
    :param chosen: the values of -i
    """
    for one in given:
        if found := wrong_variables(one):
            return f"{found}. Nothing was done."
    exported = os.environ.get("ANSIBLE_INVENTORY", "")
    for one in chosen or exported.split(",") or [str(inventories.LOCAL)]:
        for path, expected in files_of(Path(os.path.expanduser(one or str(inventories.LOCAL)))):  # noqa: PTH111
            if found := wrong_file(path, expected):
                return f"{path}{found}; {expected}. Nothing was done."
    return ""


def wrong_variables(given: str) -> str:
    """Say what is wrong with one value of -e."""
    text = given.strip()
    if text.startswith("@"):
        path = Path(os.path.expanduser(text[1:]))  # noqa: PTH111 - unlike that of Path, it raises nothing
        found = wrong_file(path, EXPECTED, empty=False)
        return f"-e {text}{found}; {EXPECTED}" if found else ""
    if text.startswith(("{", "[")):
        found = wrong_text(text)
        return f"-e{found}; {EXPECTED}, or JSON in quotes" if found else ""
    if text and "=" not in text:
        name = re.split(r"[\s:]", text)[0]  # what follows it may be a value
        return f"-e {name[:40]!r} sets nothing; expected NAME=VALUE, @FILE, or JSON in quotes"
    if is_open(text):
        return f"-e {text.partition('=')[0]}=...: a quotation mark is not closed; expected two"
    return lost_word(text)


def lost_word(text: str) -> str:
    """Say which word of `a=1 b=2` sets nothing: Ansible leaves it out, and so a part of a value that has a space."""
    if not re.search(r"\s", text):
        return ""
    splitter = importlib.import_module("ansible.parsing.splitter")  # it takes time
    try:
        words = splitter.split_args(text)
    except splitter.AnsibleParserError:  # Ansible says what is not closed
        return ""
    before = ""
    for word in words:
        name, equals, _ = word.strip().partition("=")
        if word.strip() and not (name and equals):  # it may be a part of a secret
            where = f"a word behind {before[:40]!r}" if before else repr(name[:40])
            return f"-e: {where} sets nothing; expected NAME=VALUE, with quotation marks around a value with a space"
        before = name
    return ""


def is_open(text: str) -> bool:
    """Tell whether a quotation mark is without its second one, as Ansible counts them."""
    mark = ""
    for before, one in zip(" " + text, text, strict=False):
        if one in "'\"" and before != "\\" and mark in {"", one}:
            mark = "" if mark else one
    return bool(mark)


def files_of(inventory: Path) -> Iterator[tuple[Path, str]]:
    """Find the files in YAML and JSON that Ansible reads for an inventory, and what each has to hold."""
    try:
        directory = inventory.is_dir()
        there = directory or inventory.is_file()
    except (OSError, ValueError):
        return
    if not there:
        return
    place = inventory if directory else inventory.parent
    for path in sorted(place.glob("*") if directory else [inventory]):
        # In a directory, Ansible passes over hidden files, and by `ansible.cfg` over other kinds, such as keys.json.
        other = path.suffix == ".json" and not path.name.startswith("hosts")
        passed = directory and (other or path.name.startswith("."))
        if path.is_file() and path.suffix in FORMATS and not passed and not os.access(path, os.X_OK):
            yield path, HOSTS_EXPECTED
    for kind in ("group_vars", "host_vars"):
        for path in sorted((place / kind).rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(place).parts)
            if path.is_file() and path.suffix in ("", *FORMATS) and not hidden:
                yield path, EXPECTED


def wrong_file(path: Path, expected: str, *, empty: bool = True) -> str:
    """Say what is wrong with a file; empty where nothing is, or where only Ansible can tell.

    :param empty: whether it may hold nothing
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return ": it is a directory"
        if not stat.S_ISREG(mode):  # a pipe could be read only once
            return ""
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return ": there is no such file"
    except OSError as error:
        return f": it can't be read ({error.strerror})"
    if content.startswith(VAULT):
        return ""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        return f", line {content.count(10, 0, error.start) + 1}: it is not UTF-8"
    return wrong_text(text, empty=empty)


def wrong_text(text: str, *, empty: bool = False) -> str:
    """Say what is wrong with YAML or JSON that is to hold one mapping, with the line."""
    yaml: Any = importlib.import_module("yaml")  # here, because it takes time
    if PAIR.search(text) and is_json(text):
        text = PAIR.sub("?", text)
    try:
        documents: list[Any] = [
            one for one in yaml.compose_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if one
        ]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        lines = text.rstrip("\n").split("\n")
        line = min(line, len(lines) - 1)  # what never ends is found at the end of the text
        written = lines[line]
        indent = written[: len(written) - len(written.lstrip())]
        said = "a tab is where YAML has spaces" if "\t" in indent else f"YAML cannot be parsed here ({error.problem})"
        return f", line {line + 1}: {said}"
    except yaml.YAMLError:
        return ": YAML cannot be parsed (a character in it is not allowed)"
    if not documents:
        return "" if empty else ": it is empty"
    if len(documents) > 1:
        return f", line {documents[1].start_mark.line + 1}: a second document begins"
    [top] = documents
    if not isinstance(top, yaml.MappingNode):
        if empty and isinstance(top, yaml.ScalarNode) and top.tag == "tag:yaml.org,2002:null":
            return ""
        kind = "a list" if isinstance(top, yaml.SequenceNode) else "one value"
        return f", line {top.start_mark.line + 1}: it is {kind}"
    return next(wrong_nodes(top, set()), "")


def is_json(text: str) -> bool:
    """Tell whether a text is JSON."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def wrong_nodes(node: Any, seen: set[int]) -> Iterator[str]:
    """Find keys that are there twice in one mapping, and tags that Ansible does not know."""
    if id(node) in seen:
        return
    seen.add(id(node))
    where = f", line {node.start_mark.line + 1}"
    if node.tag.startswith("!") and node.tag not in TAGS:
        yield f"{where}: the tag {node.tag} is unknown"
    value: Any = node.value
    children = cast("list[Any]", value) if isinstance(value, list) else []
    keys: set[tuple[str, str]] = set()
    for child in children:
        pair = cast("tuple[Any, ...]", child) if isinstance(child, tuple) else (child,)
        if len(pair) == 2 and isinstance(cast("object", pair[0].value), str):
            key = (pair[0].tag, pair[0].value)
            if key in keys and pair[0].value != "<<":
                yield f", line {pair[0].start_mark.line + 1}: the key '{pair[0].value}' is there twice"
            keys.add(key)
        for one in pair:
            yield from wrong_nodes(one, seen)
