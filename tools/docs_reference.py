"""The parts of the documentation that are made from the code: settings, commands, modules, HTTP API, changes."""

from __future__ import annotations

import ast
import asyncio
import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any, cast

import role_docs
import verb_help
import yaml
from containers import ROOT
from role_docs import markdown
from verbs import GROUPS, VERBS, Verb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Object = dict[str, Any]
LITERALS = ("DOCUMENTATION", "EXAMPLES", "RETURN")


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Return a table of Markdown, or nothing where it has no rows."""
    if not rows:
        return []
    return ["", *(f"| {' | '.join(cells)} |" for cells in (heads, ("---",) * len(heads), *rows)), ""]


def cell(text: str | list[str]) -> str:
    """Return a text of OpenAPI, of Ansible or of a verb as one cell."""
    joined = text if isinstance(text, str) else " ".join(text)
    return " ".join(joined.split()).replace("|", r"\|").replace("<", r"\<")


def fence(text: str, language: str) -> list[str]:
    """Return a block of code."""
    return ["", f"```{language}", text.strip("\n"), "```", ""]


# -- settings


def settings() -> str:
    """Return every setting of every role, with the page that has all of it."""
    rows: list[tuple[str, ...]] = []
    for specs in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
        role = specs.parents[1].name
        options: dict[str, Object] = yaml.safe_load(specs.read_text())["argument_specs"]["main"].get("options", {})
        for name, one in options.items():
            described = one["description"]
            first = (described if isinstance(described, str) else described[0]).partition(". ")[0].rstrip(".")
            link = f"[{role}](../../roles/{role}/README.md)"
            rows.append((f"`{name}`", markdown(first) + ".", role_docs.default(one), link))
    return "\n".join(table(("setting", "meaning", "default", "role"), sorted(rows)))


# -- commands


def commands() -> str:
    """Return every verb of ./sse, by group."""
    lines: list[str] = []
    for group, title in GROUPS.items():
        lines += [f"## {title}", ""]
        for name, verb in VERBS.items():
            if verb.group == group:
                lines += [f"### {name}", "", cell(verb.purpose), *(["", cell(verb.more)] if verb.more else [])]
                lines += _command(verb)
    return "\n".join(lines)


def _command(verb: Verb) -> Iterator[str]:
    yield from table(("run", "to"), [(f"`./sse {command}`", cell(what)) for command, what in verb.examples])
    taken = [(f"`{one.name}`", cell(one.help)) for one in verb.arguments]
    for one in verb.options:
        flag = verb_help.flag_of(one.short, one.flag, one.value, one.otherwise)
        taken.append((f"`{flag}`", cell(one.help)))
    yield from table(("it takes", "meaning"), taken)
    if verb.settings:
        yield f"Settings that matter here: {', '.join(f'`{one}`' for one in verb.settings)}."
        yield ""
    if verb.findings:
        yield f"It ends with 2 where {cell(verb.findings)}."
        yield ""


# -- modules


def modules() -> str:
    """Return every module of the collection with its options and what it returns."""
    return "\n".join(line for path in sorted((ROOT / "plugins/modules").glob("*.py")) for line in _module(path))


def documentation(path: Path) -> Object:
    """Return what a module says about itself, with the options that its fragments add, as `ansible-doc` does."""
    literals = _literals(path)
    own: Object = yaml.safe_load(literals["DOCUMENTATION"])
    options: dict[str, Object] = {}
    for name in own.get("extends_documentation_fragment", []):
        file, _, part = str(name).removeprefix("sse.platform.").partition(".")
        shared = _literals(ROOT / f"plugins/doc_fragments/{file}.py")[part.upper() or "DOCUMENTATION"]
        options |= yaml.safe_load(shared).get("options", {})
    for name, one in own.get("options", {}).items():
        options[name] = options.get(name, {}) | one
    examples, returned = literals.get("EXAMPLES", ""), yaml.safe_load(literals.get("RETURN", "{}"))
    return own | {"options": options, "examples": examples, "return": returned or {}}


def _literals(path: Path) -> dict[str, str]:
    """Return the texts that a file assigns to names in capitals, at its top or in its class."""
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            [target] = node.targets
            if isinstance(target, ast.Name) and target.id.isupper():
                found[target.id] = node.value.value
    return found


def _module(path: Path) -> Iterator[str]:
    said = documentation(path)
    described = cast("str | list[str]", said.get("description", []))
    yield from (f"## {said['module']}", "", f"{markdown(said['short_description'])}.", "")
    yield from (f"- {markdown(one)}" for one in ([described] if isinstance(described, str) else described))
    yield from table(
        ("option", "type", "default", "meaning"),
        [
            (f"`{name}`", _type(one), _default(one), markdown(one.get("description", "")) + _choices(one))
            for name, one in said["options"].items()
        ],
    )
    yield from fence(said["examples"], "yaml") if said["examples"].strip() else ()
    yield from table(
        ("it returns", "type", "when", "meaning"),
        [
            (f"`{name}`", _type(one), str(one.get("returned", "always")), markdown(one.get("description", "")))
            for name, one in said["return"].items()
        ],
    )


def _type(option: Object) -> str:
    name, elements = str(option.get("type", "str")), str(option.get("elements", ""))
    kind = role_docs.TYPES.get(name, name)
    return f"{kind} of {role_docs.TYPES.get(elements, elements)}" if elements else kind


def _default(option: Object) -> str:
    if option.get("required"):
        return "**required**"
    return role_docs.default(option) if "default" in option else ""


def _choices(option: Object) -> str:
    choices = option.get("choices")
    return f" One of {', '.join(f'`{one}`' for one in choices)}." if choices else ""


# -- the HTTP API


def openapi() -> Object:
    """Return the document of the service, as a replica with its default settings answers it."""
    sys.path.insert(0, str(ROOT / "app"))
    import httpx  # noqa: PLC0415 - only this page needs them
    from sse_app.base.settings import load  # noqa: PLC0415
    from sse_app.service import Service  # noqa: PLC0415

    async def ask() -> Object:
        transport = httpx.ASGITransport(app=cast("Any", Service(load({})).application))
        async with httpx.AsyncClient(transport=transport, base_url="http://replica") as client:
            return (await client.get("/openapi.json")).raise_for_status().json()

    return asyncio.run(ask())


def http() -> str:
    """Return every operation of the service, and every kind of document that it takes or answers."""
    document = openapi()
    lines = [*document["info"]["description"].strip().splitlines(), ""]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            lines += _operation(f"{method.upper()} {path}", operation)
    lines += ["## Documents", ""]
    for name, schema in document["components"]["schemas"].items():
        lines += [f"### {name}", "", *([cell(schema["description"])] if "description" in schema else [])]
        lines += table(("member", "type", "meaning"), _members(schema))
    return "\n".join(lines)


def _operation(heading: str, operation: Object) -> Iterator[str]:
    yield from (f"## {heading}", "", *operation.get("description", operation.get("summary", "")).splitlines(), "")
    yield from table(
        ("parameter", "in", "type", "meaning"),
        [
            (
                f"`{one['name']}`" + (", required" if one.get("required") else ""),
                one["in"],
                kind(one.get("schema", {})),
                cell(one.get("description", "")),
            )
            for one in operation.get("parameters", [])
        ],
    )
    for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
        yield f"The body is `{media_type}`:"
        yield ""
        for example in media.get("examples", {}).values():
            yield from fence(json.dumps(example["value"], ensure_ascii=False), "json")
    rows = [
        (str(status), ", ".join(f"`{one}`" for one in answer.get("content", {})), cell(answer["description"]))
        for status, answer in operation["responses"].items()
    ]
    yield from table(("answer", "as", "meaning"), rows)
    for media in operation["responses"].get("200", {}).get("content", {}).values():
        for name, example in media.get("examples", {}).items():
            yield f"For example, `{name}`:"
            yield from fence(example["value"] if isinstance(example["value"], str) else json.dumps(example), "text")


def _members(schema: Object) -> list[tuple[str, ...]]:
    required = schema.get("required", [])
    return [
        (
            f"`{name}`" + (", required" if name in required else ""),
            kind(one),
            cell(one.get("description", one.get("title", ""))),
        )
        for name, one in schema.get("properties", {}).items()
    ]


def kind(schema: Object) -> str:
    """Say in words what a schema takes."""
    if reference := schema.get("$ref"):
        name = str(reference).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("enum"):
        return ", ".join(f"`{json.dumps(one) if not isinstance(one, str) else one}`" for one in choices)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(kind(one) for one in schema[several]))
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}"
    bounds = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return " ".join([str(schema.get("type", "any JSON")), *bounds])


# -- changes


def changes() -> str:
    """Return what the fragments say that no release has yet."""
    titles = {
        name: title
        for name, title in yaml.safe_load((ROOT / "changelogs/config.yaml").read_text())["sections"]
        if name != "trivial"
    }
    said: dict[str, list[str]] = {name: [] for name in titles}
    for path in sorted((ROOT / "changelogs/fragments").glob("*.yml")):
        for name, entries in yaml.safe_load(path.read_text()).items():
            if name in said:
                said[name] += [" ".join(str(one).replace("``", "`").split()) for one in entries]
    lines = ["## Not released yet", ""]
    for name, entries in said.items():
        if entries:
            lines += [f"### {titles[name]}, not released yet", ""]
            for entry in entries:
                lines += textwrap.wrap(entry, role_docs.LINE, initial_indent="- ", subsequent_indent="  ")
            lines += [""]
    return "\n".join(lines)


PARTS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "commands": commands,
    "modules": modules,
    "http": http,
    "changes": changes,
}


def made(name: str) -> str:
    """Return a part by its name."""
    return PARTS[name]()
