"""Write the README.md of every role from its argument specs and values: python tools/role_docs.py."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any, cast

import jinja2
import yaml
from containers import ROOT

# isort: split
from ansible_collections.sse.platform.plugins.module_utils.settings import options, values

# Ansible's markup in descriptions: C(code), V(value), O(option), M(module).
MARKUP = re.compile(r"\b[CVOM]\(([^)]+)\)")
TYPES = {"bool": "boolean", "dict": "dictionary", "int": "integer", "list": "list", "path": "path", "str": "text"}
OFFSET = "stack_offset"
LINE = 120  # characters, as in every page


def markdown(text: str | list[str]) -> str:
    """Return a description as Markdown on one line."""
    joined = text if isinstance(text, str) else " ".join(text)
    pieces = MARKUP.split(joined.strip())  # text and code in turns
    return "".join(f"`{one}`" if place % 2 else re.sub(r"[*|<]", r"\\\g<0>", one) for place, one in enumerate(pieces))


def expected(option: options.Option) -> str:
    """Say which values a variable takes."""
    if "choices" in option:
        return ", ".join(f"`{one}`" for one in option["choices"])
    return markdown(values.expected(option))


def default(option: dict[str, Any]) -> str:
    """Return the default as one would write it; a variable whose default depends on others tells that itself."""
    if "default" not in option:
        return "see meaning"
    value = option["default"]
    if OFFSET in str(value):
        return f"`{jinja2.Template(str(value)).render({OFFSET: 0})}`, moved by `{OFFSET}`"
    written = value if isinstance(value, str) and value else json.dumps(value)
    return f"`{written}`".replace("|", r"\|")  # also within code, a bar would begin the next cell


def page(role: Path) -> str:
    """Return the README of a role."""
    spec = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]
    path = role / "meta/values.yml"
    limits: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text()) if path.exists() else {}
    rows = [
        f"| `{name}` | {TYPES[one['type']]} | {default(one)} | {expected(options.option(one, limits.get(name, {})))} "
        f"| {markdown(one['description'])} |"
        for name, one in cast("dict[str, dict[str, Any]]", spec.get("options", {})).items()
    ]
    return "\n".join(
        [
            f"# Role `{role.name}`",
            "",
            "<!-- tools/role_docs.py writes this page from meta/argument_specs.yml and values.yml. Change them. -->",
            "",
            f"{markdown(spec['short_description'])}.",
            *(["", textwrap.fill(markdown(spec["description"]), LINE)] if "description" in spec else []),
            "",
            "| variable | type | default | expected | meaning |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Write all pages."""
    for specs in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
        role = specs.parents[1]
        (role / "README.md").write_text(page(role))


if __name__ == "__main__":
    main()
