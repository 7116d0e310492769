"""Read the Compose files of a project into one: variables, extends, include, and several files over one another."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from compose_files import dotenv, merging, schema, yaml12
from compose_files.interpolation import FORMS, MalformedError, fill
from compose_files.nodes import Node, Place, ProjectError, each, leaves

# What Compose looks for in a directory, in this order; each may have a file over it.
DEFAULTS = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
SECTIONS = ("services", "networks", "volumes", "secrets", "configs", "models")
MOST_FILES = 100  # read for one project, each as often as it is named
ELSEWHERE = "not read, because it is not on this machine, or nothing says where"
REMOTE = ("://", "git@", "oci:", "github.com/")


def found_in(directory: Path, env_files: Sequence[Path] = ()) -> list[Path]:
    """Return the files that Compose reads in a directory.

    They are those that COMPOSE_FILE names, in the environment or in .env, or else the first that is there and the one
    that goes over it.
    """
    values = {**variables(env_files or [directory / ".env"], os.environ, bool(env_files)), **os.environ}
    if named := values.get("COMPOSE_FILE"):
        separator = values.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        return [directory / one for one in named.split(separator) if one]
    for name in DEFAULTS:
        if there(directory / name):
            over = [directory / one for one in beside(directory / name) if there(directory / one)]
            return [directory / name, *over[:1]]
    return []


def beside(path: Path) -> tuple[str, ...]:
    """Return the names of files that Compose puts over this one where no file is named."""
    stem = path.name.rpartition(".")[0]
    return (f"{stem}.override.yml", f"{stem}.override.yaml") if path.name in DEFAULTS else ()


@dataclass
class Loading:
    """One reading of a project: what is said about it on the way, and how much was read."""

    notes: list[str] = field(default_factory=list[str])
    unset: dict[str, None] = field(default_factory=dict[str, None])  # variables that nothing sets, in order
    partial: bool = False  # something of another machine was left out
    files: int = 0

    def project(self, files: Iterable[Path], home: Path, values: Mapping[str, str]) -> Node:
        """Return several files as one.

        :param home: the directory that relative paths begin at
        :raises ProjectError: naming the file and the line of what cannot be read
        """
        merged = merging.settled(self.merged(list(files), home, values, ()))
        if self.unset:
            self.notes.append(
                f"nothing sets {', '.join(self.unset)}: set them in the environment, in .env or with --env-file, "
                "to audit what you deploy"
            )
        self.notes += [text for one in leaves(merged) if (text := yaml12.advice(one))]
        return merged

    def merged(self, files: list[Path], home: Path, values: Mapping[str, str], above: tuple[Path, ...]) -> Node:
        """Return several files as one, with the tags of Compose still in it."""
        merged = Node({})
        for path in files:
            if path.resolve() in above:
                raise ProjectError(f"{path}: expected files that do not include one another, found a circle")
            for document in self.documents(path, home, values):
                whole = self.extended(document, merged, values)
                whole = self.included(whole, values, (*above, path.resolve()))
                merged = merging.merge(merged, whole)
        return merged

    def documents(self, path: Path, home: Path, values: Mapping[str, str]) -> list[Node]:
        """Return the documents of a file, with variables put in, and compared with the schema."""
        self.files += 1
        if self.files > MOST_FILES:
            raise ProjectError(f"{path}: expected at most {MOST_FILES} files, found more")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ProjectError(f"{path}: expected a Compose file, found none ({error.strerror})") from None
        found = [each(one, lambda leaf: self.filled(leaf, values)) for one in yaml12.Reader(str(path), home).read(data)]
        for document in found:
            document.mapping()
            for one in schema.problems(document):
                if not one.mild:
                    raise one.node.refused(one.expected, one.found)
                self.notes.append(one.node.said(one.expected, one.found))
        return found or [Node({}, "", Place(str(path), 1, home))]

    def filled(self, leaf: Node, values: Mapping[str, str]) -> Node:
        """Put variables into a single value."""
        if not isinstance(leaf.value, str) or "$" not in leaf.value:
            return leaf
        try:
            filled = fill(leaf.value, values)
        except MalformedError as error:
            raise leaf.refused(FORMS, str(error)) from None
        self.unset.update(dict.fromkeys(filled.unknown))
        for one in filled.required:
            self.notes.append(f"{leaf.place}{leaf.path}: Compose does not start without {one}")
        return replace(leaf, value=filled.text, unknown=filled.unknown, plain=False)

    def extended(self, document: Node, merged: Node, values: Mapping[str, str]) -> Node:
        """Return a document whose services have what they extend."""
        services = document["services"]
        if not any("extends" in one.mapping() for one in services.mapping().values()):
            return document
        known = {**merged["services"].mapping(), **services.mapping()}
        made = {key: self.service(key, one, known, values, ()) for key, one in services.mapping().items()}
        return replace(document, value={**document.mapping(), "services": replace(services, value=made)})

    def service(
        self, name: str, given: Node, known: Mapping[str, Node], values: Mapping[str, str], above: tuple[str, ...]
    ) -> Node:
        """Return a service over the one that it extends, which may be of another file."""
        wanted = given["extends"]
        if not wanted:
            return given
        own = replace(given, value={key: one for key, one in given.mapping().items() if key != "extends"})
        long = isinstance(wanted.value, dict)
        base_name, file = str(wanted["service"] if long else wanted), wanted["file"] if long else Node(None)
        if file.unknown or any(mark in str(file) for mark in REMOTE):
            self.partial = True
            self.notes.append(f"{file.place}{file.path}: {ELSEWHERE}: {file}")
            return own
        step = f"{wanted.place.file} {file} {name}"
        if step in above or len(above) > yaml12.DEPTH:
            raise wanted.refused("services that do not extend one another", "a circle")
        if file:
            path = wanted.place.home / str(file)
            if not there(path):
                raise file.refused("a Compose file", f"no file {path}")
            found = self.documents(path, path.parent, values)
            known = {key: one for document in found for key, one in document["services"].mapping().items()}
        if base_name not in known:
            raise wanted.refused(f"one of the services {', '.join(known)}", f"'{base_name}'")
        base = self.service(base_name, known[base_name], known, values, (*above, step))
        return merging.merge(base, own, ("services", name))

    def included(self, document: Node, values: Mapping[str, str], above: tuple[Path, ...]) -> Node:
        """Return a document with what it includes."""
        sections = {key: dict(document[key].mapping()) for key in SECTIONS}
        for entry in document["include"].items():
            brought = merging.settled(self.include(entry, values, above))
            for key in SECTIONS:
                for name, one in brought[key].mapping().items():
                    own = sections[key].setdefault(name, one)
                    if plain(own) != plain(one):
                        raise own.refused(f"{key}.{name} once", f"another one in {one.place.file}:{one.place.line}")
        whole = {key: replace(document[key], value=value) for key, value in sections.items() if value}
        rest = {key: one for key, one in document.mapping().items() if key not in {*SECTIONS, "include"}}
        return replace(document, value={**rest, **whole})

    def include(self, entry: Node, values: Mapping[str, str], above: tuple[Path, ...]) -> Node:
        """Return the files of one entry of include."""
        long = isinstance(entry.value, dict)
        names = entry["path"].items() if long else [entry]
        if any(one.unknown or any(mark in str(one) for mark in REMOTE) for one in names):
            self.partial = True
            self.notes += [f"{one.place}{one.path}: {ELSEWHERE}: {one}" for one in names]
            return Node({})
        files = [entry.place.home / str(one) for one in names]
        for one, path in zip(names, files, strict=True):
            if not there(path):
                raise one.refused("a Compose file", f"no file {path}")
        if not files:
            raise entry.refused("the path of a Compose file", "none")
        asked = entry["project_directory"] if long else Node(None)
        home = entry.place.home / str(asked) if asked else files[0].parent
        given = entry["env_file"].items() if long else []
        own = variables([entry.place.home / str(one) for one in given] or [home / ".env"], values, bool(given))
        return self.merged(files, home, {**own, **values}, above)


def there(path: Path) -> bool:
    """Tell whether there is such a file."""
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long, or a directory that nobody may read
        return False


def plain(node: Node) -> object:
    """Return a value without the places where it stands."""
    if isinstance(node.value, dict):
        return {key: plain(one) for key, one in node.value.items()}
    return [plain(one) for one in node.value] if isinstance(node.value, list) else node.value


def variables(files: Iterable[Path], around: Mapping[str, str], needed: bool = True) -> dict[str, str]:
    """Return the variables of files, those of later ones first; a file that is only looked for may be absent."""
    found: dict[str, str] = {}
    for path in files:
        if not needed and not there(path):
            continue
        try:
            found |= dotenv.parse(path.read_text("utf-8"), {**found, **around})
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no UTF-8"
            raise ProjectError(f"{path}: expected a file of variables, found none ({reason})") from None
        except dotenv.LineError as error:
            raise ProjectError(f"{path}:{error}") from None
    return found
