"""The cheap part of plain words: no word of the past, no long line and no dead link in what people read."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 120  # characters of a line of Markdown; a row of a table cannot be wrapped

# What is not said any more, and what docs/glossary.md has instead. Names that users or stored data rely on stay.
BANNED = {
    r"accepted (is|are)\b": "expected",
    r"\bdoors?\b": "endpoint, or published port",
    r"\bproofs?\b|\bprov(e|es|ed|ing)\b|\bproven\b": "verify",
    r"\bfinds? fault\b|\bFault\b": "finding",
    r"\bthat which\b": "the noun itself",
    r"\bwithout a word\b": "says nothing; logs nothing",
    r"\bsettle\(|\bwalls?\b": "stack firewall, open_for, close_to",
    r"\b(that|which|what|it|answer|text) (is|are) none\b": "say what it is not",
}
KEPT = re.compile(r"app_proof_key|proof\.json")

MARKDOWN = "*.md"
SPOKEN = (
    "plugins/**.py",
    "tools/*.py",
    "app/sse_app/**.py",
    "clients/python/sse_client/**.py",
    "playbooks/**.yml",
    "roles/**.yml",
    "sse",
)


def tracked(*patterns: str) -> list[Path]:
    """List the files that git knows, or would take, by these patterns."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for name in listed if (path := ROOT / name).is_file()]


def pages() -> list[Path]:
    return [path for path in tracked(MARKDOWN) if path.name not in {"CHANGELOG.md", "CHANGELOG.rst"}]


def prose(page: Path) -> list[tuple[int, str]]:
    """Return the numbered lines of a page that are neither code nor written by a program."""
    found: list[tuple[int, str]] = []
    code = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.startswith("```"):
            code = not code
        elif not code and not line.startswith(("    ", "<!--")):
            found.append((number, line))
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_line_of_markdown_fits_a_screen(page: Path) -> None:
    long = [number for number, line in prose(page) if len(line) > LONGEST and not line.lstrip().startswith("|")]
    assert not long, f"lines of more than {LONGEST} characters: {long}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    dead: list[str] = []
    for _, line in prose(page):
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", line):
            path, _, anchor = target.partition("#")
            linked = (page.parent / path).resolve() if path else page
            if not linked.exists() or (anchor and anchor not in anchors(linked)):
                dead.append(target)
    assert not dead


def anchors(page: Path) -> set[str]:
    """Return the anchors that a forge gives the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("banned", BANNED, ids=lambda pattern: BANNED[pattern])
def test_a_word_of_the_past_is_not_said(banned: str) -> None:
    said: list[str] = []
    for path in (*pages(), *tracked(*SPOKEN)):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(banned, KEPT.sub("", line)):
                said.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not said, f"say {BANNED[banned]} instead:\n" + "\n".join(said)
