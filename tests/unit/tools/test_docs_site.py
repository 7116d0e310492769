"""The documentation as a site: every page has its place, and what is made from the code is whole."""

from __future__ import annotations

import socket
from pathlib import Path

import docs_reference
import docs_site
import pytest
import yaml
from lint import sources
from sphinx.cmd.build import build_main
from verbs import VERBS

ROOT = docs_site.ROOT
MADE = {
    "settings": [
        name
        for specs in (ROOT / "roles").glob("*/meta/argument_specs.yml")
        for name in yaml.safe_load(specs.read_text())["argument_specs"]["main"].get("options", {})
    ],
    "commands": list(VERBS),
    "modules": [path.stem for path in (ROOT / "plugins/modules").glob("*.py")],
    "http": ["POST /api/v1/events", "GET /api/v1/stream", "Last-Event-ID", "application/problem+json"],
    "changes": ["Not released yet"],
}


def test_every_page_of_the_repository_has_its_place() -> None:
    there = {name.removesuffix(".md") for name in sources("*.md")}
    assert there - set(docs_site.pages()) - docs_site.ELSEWHERE == set(), "put it into SECTIONS in tools/docs_site.py"
    assert len(docs_site.pages()) == len(set(docs_site.pages()))


@pytest.mark.parametrize("name", docs_reference.PARTS)
def test_what_is_made_from_the_code_is_whole(name: str) -> None:
    made = docs_reference.PARTS[name]()
    assert [one for one in MADE[name] if one not in made] == []
    assert "None" not in made.replace("`None`", "")


def test_every_part_stands_on_a_page() -> None:
    asked = {name for page in docs_site.pages() for name in docs_site.MARKER.findall((ROOT / f"{page}.md").read_text())}
    assert asked == docs_reference.PARTS.keys() - {"changes"}  # which the changelog gets without a marker


def test_the_options_of_a_fragment_belong_to_the_module_and_its_own_words_win() -> None:
    options = docs_reference.documentation(ROOT / "plugins/modules/scan.py")["options"]
    assert options["stack"]["default"] == "sse"
    assert options["stack"]["description"].startswith("Name of the stack")


def test_the_site_shows_a_picture_for_each_theme_and_no_link_to_a_directory() -> None:
    page = """<picture>
  <source media="(prefers-color-scheme: dark)" srcset="images/a-dark.png">
  <img src="images/a-light.png" alt="What it is">
</picture>

See [the roles](../roles) and [one](../roles/app/README.md).

    [code](../roles)
"""
    text = docs_site.source(page, "docs/operations")
    assert "```{image} images/a-light.png\n:alt: What it is\n:class: only-light\n```" in text
    assert "```{image} images/a-dark.png\n:alt: What it is\n:class: only-dark\n```" in text
    assert "See the roles and [one](../roles/app/README.md)." in text
    assert "    [code](../roles)" in text


@pytest.mark.parametrize(
    ("link", "whole"),
    [
        ("[there](other.md#a-part)", True),
        ("[no page](another.md)", False),
        ("[no part](other.md#no-part)", False),
        ("[no part here](#no-part)", False),
        ("![no picture](none.png)", False),
    ],
)
def test_a_link_that_leads_nowhere_is_an_error(
    link: str, whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "README.md").write_text(f"# First\n\n{link}\n\n```{{toctree}}\nother\n```\n")
    (tmp_path / "other.md").write_text("# Other\n\n## A part\n\nText.\n")
    monkeypatch.setattr(docs_site, "pages", lambda: ["README", "other"])
    monkeypatch.setattr(docs_site, "sections", dict[str, list[str]])
    arguments = ["-c", str(docs_site.CONFIGURATION), *docs_site.STRICT, str(tmp_path), str(tmp_path / "html")]
    assert (build_main(arguments) == 0) is whole


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example.org/a.js"></script>',
        '<link rel="stylesheet" href="//fonts.example.org/css">',
        "<style>@import 'https://fonts.example.org/css'; a {background: url(https://example.org/a.png)}</style>",
    ],
)
def test_a_page_that_asks_another_host_is_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(text)
    assert docs_site.foreign(tmp_path) != []
    (tmp_path / "index.html").write_text('<a href="https://example.org">read</a><script src="_static/a.js"></script>')
    assert docs_site.foreign(tmp_path) == []


@pytest.mark.parametrize("port", [None, 70000])
def test_a_port_that_cannot_be_served_is_named(port: int | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        asked = port or taken.getsockname()[1]
        with pytest.raises(SystemExit, match=f"Port {asked} .* cannot be opened .*: choose one with --serve PORT"):
            docs_site.serve(asked)
