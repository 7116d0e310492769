"""Every view and every terminal of the pages has its picture, in both themes, and no picture is left over."""

from __future__ import annotations

import re
from pathlib import Path

import docs_site
import lint
import pictures
import pytest
import recording

ROOT = lint.ROOT
GOLDENS = ROOT / "dashboard/browser/goldens"
CONTROL_ROOM = ROOT / "docs/control-room.md"
VIEWS = sorted(path.name for path in (ROOT / "dashboard/src/views").iterdir() if path.is_dir())
PICTURES = ROOT / "docs/images"
MOST_BYTES = 3_000_000  # of all pictures of the pages: they are in every clone for ever


def shown() -> dict[Path, tuple[Path, Path, str]]:
    """Return the pictures that pages show, by the path of the light one: page, dark one, what it shows."""
    found: dict[Path, tuple[Path, Path, str]] = {}
    for name in lint.sources("*.md"):
        page = ROOT / name
        for one in docs_site.PICTURE.finditer(page.read_text()):
            light, dark = ((page.parent / one[theme]).resolve() for theme in ("light", "dark"))
            found[light] = (page, dark, one["alt"])
    return found


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_has_a_picture_that_its_test_compares_and_its_page_shows(view: str) -> None:
    """A picture of a view is called VIEW-STATE-THEME; shown() brings both themes."""
    assert list(GOLDENS.glob(f"{view}-*.png")), "dashboard/README.md says how to make it"
    of_view = [light for light, (page, *__) in shown().items() if light.name.startswith(f"{view}-")]
    assert of_view, f"docs/control-room.md shows no picture of {view}"


def test_each_picture_is_there_in_both_themes_and_says_what_it_shows() -> None:
    for light, (page, dark, alt) in shown().items():
        assert light.exists(), f"{page}: {light}"
        assert dark.exists(), f"{page}: {dark}"
        assert light.name.replace("-light", "-dark") == dark.name
        assert len(alt.split()) > 3, f"{page}: what does {light.name} show?"


def test_no_picture_is_left_over_and_all_are_small() -> None:
    both = {picture for light, (__, dark, ___) in shown().items() for picture in (light, dark)}
    drawn = {ROOT / docs_site.TOPOLOGY.format(theme) for theme in recording.THEMES}
    assert set(PICTURES.iterdir()) - both - drawn == set()
    assert sum(one.stat().st_size for one in both | drawn) <= MOST_BYTES


@pytest.mark.parametrize("name", pictures.TERMINALS)
def test_both_themes_of_a_terminal_show_the_same(name: str) -> None:
    light, dark = (pictures.picture(f"terminal-{name}", theme).read_text() for theme in recording.THEMES)
    assert recording.last_screen(light) == recording.last_screen(dark) != []
    for theme, text in (("light", light), ("dark", dark)):
        assert f"fill:{recording.THEMES[theme]['text']}" in text


def test_each_sentence_that_the_page_explains_is_one_that_the_control_room_says() -> None:
    places = ("dashboard/src", "dashboard/browser/views")  # a test of a view has what several words make
    said = " ".join(path.read_text() for place in places for path in sorted((ROOT / place).rglob("*.ts")))
    said = re.sub(r"\$\{verb\(\w+, '(\w+)', '\w+'\)\}", r"\1", said)
    section = re.search(r"^## What the sentence says\n(.*?)^## ", CONTROL_ROOM.read_text(), re.MULTILINE | re.DOTALL)
    assert section
    sentences = re.findall(r"^\| ([^|]+) \|", section[1], re.MULTILINE)[2:]
    parts = [part.strip(" :,.") for sentence in sentences for part in sentence.split("…")]
    assert [part for part in parts if part not in said] == []


def test_a_drawing_that_follows_the_system_becomes_one_for_each_theme() -> None:
    svg = "<style>a { b: c }\n@media (prefers-color-scheme: dark) {\n a { b: d }\n e { f: g }\n}</style>"
    assert "b: d" not in pictures.themed(svg, "light")
    dark = pictures.themed(svg, "dark")
    assert "b: d" in dark
    assert "@media" not in dark
