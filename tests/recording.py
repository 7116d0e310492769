"""What a command shows in a terminal, recorded with its times, and as a picture: an SVG whose text is text.

The picture plays the run once and then stands still. Where a reader wants no motion, it only shows the end.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from difflib import SequenceMatcher
from html import escape, unescape
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import pyte

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

COLUMNS, ROWS = 100, 80  # of the terminal
SEEN = 32  # rows that the picture shows at a time: it follows the output
LONGEST_PAUSE = 0.6  # seconds; a longer one is cut to this, because nothing is to be seen in it
PLAYED = 12.0  # seconds, in which a longer run is played
TOGETHER = 0.3  # seconds of the play; what is drawn within them is one change
WIDTH, HEIGHT = 8.4, 19  # of a character, in the units of the picture
LEFT, TOP = 18, 62  # of the first character
LIMIT_SECONDS = 1200.0  # a first run may build every image
# The colours of the dashboard, by the names that a terminal has for them.
THEMES = {
    "light": {
        "ground": "#fffdf8", "bar": "#f4efe4", "line": "#e3dccd", "text": "#1a2235", "soft": "#5a6276",
        "red": "#b93131", "green": "#0a7d5d", "yellow": "#965600", "blue": "#2f6fd6", "magenta": "#8a3fa0",
        "cyan": "#0b7285",
    },
    "dark": {
        "ground": "#111a30", "bar": "#1a2542", "line": "#24304f", "text": "#e9eef9", "soft": "#9aa8c6",
        "red": "#ff8585", "green": "#4fe0b6", "yellow": "#ffc765", "blue": "#6ea8ff", "magenta": "#d9a3f0",
        "cyan": "#6fd8e8",
    },
}  # fmt: skip
# Other names for them, and what has no colour of its own here.
NAMES = {"brown": "yellow", "black": "soft", "white": "text", "default": "text"}


class Span(NamedTuple):
    """Characters of one row that look alike."""

    column: int
    text: str
    colour: str
    bold: bool


Row = tuple[Span, ...]


class Shown(NamedTuple):
    """What a row shows, from when until when; until the end where `end` is None."""

    row: int
    spans: Row
    begin: float
    end: float | None


class Recording(NamedTuple):
    """A command, its output with the seconds since its start, and how it ended."""

    command: str
    parts: list[tuple[float, str]]
    code: int

    @property
    def output(self) -> str:
        """Return everything that was written."""
        return "".join(text for __, text in self.parts)


def record(shown: str, command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Recording:
    """Run a command in a terminal of its own, as a person would, and keep what it writes.

    :param shown: what a person would have typed
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    unwanted = {"NO_COLOR", "ANSIBLE_NOCOLOR", "ANSIBLE_FORCE_COLOR", "COLUMNS", "LINES"}
    wanted = {name: value for name, value in environment.items() if name not in unwanted}
    begun = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**wanted, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    parts: list[tuple[float, str]] = []
    pending = b""
    while time.monotonic() - begun < LIMIT_SECONDS:
        if not select.select([ours], [], [], 1.0)[0]:
            continue
        try:
            read = os.read(ours, 65536)
        except OSError:  # EIO: nobody has the other end any more
            break
        pending += read
        text = pending.decode(errors="ignore")
        pending = pending[len(text.encode()) :]  # a character may come in two parts
        parts.append((time.monotonic() - begun, text))
    else:
        process.kill()
    os.close(ours)
    return Recording(shown, parts, process.wait())


def exchanged(recording: Recording, words: Mapping[str, str]) -> Recording:
    """Return the recording of a stack of the tests as the same run of a stack with its default names shows it."""
    return recording._replace(parts=[(at, replaced(text, words)) for at, text in recording.parts])


def replaced(text: str, words: Mapping[str, str]) -> str:
    """Return a text with each pattern replaced."""
    for pattern, word in words.items():
        text = re.sub(pattern, word, text)
    return text


def _row(line: Mapping[int, Any]) -> Row:
    cells = [line[column] for column in range(COLUMNS)]
    spans: list[Span] = []
    looks = [(NAMES.get(one.fg) or str(one.fg), bool(one.bold)) for one in cells]
    for (colour, bold), group in groupby(range(COLUMNS), key=lambda column: looks[column]):
        where = list(group)
        text = "".join(cells[column].data for column in where)
        if text.strip():
            start = len(text) - len(text.lstrip())
            spans.append(Span(where[0] + start, text.strip(), colour, bold))
    return tuple(spans)


def played(recording: Recording) -> list[tuple[float, str]]:
    """Return the output with the times of the play: long pauses are cut, and a long run is faster."""
    clock = last = 0.0
    parts: list[tuple[float, str]] = []
    for at, text in recording.parts:
        clock += min(at - last, LONGEST_PAUSE)
        last = at
        parts.append((clock, text))
    faster = max(1.0, clock / PLAYED)
    return [(at / faster, text) for at, text in parts]


def rows(recording: Recording) -> list[Shown]:
    """Return what each row shows, and when."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.Stream(screen)
    now: dict[int, tuple[Row, float]] = {}
    found: list[Shown] = []
    parts = played(recording)
    looked = -TOGETHER
    for index, (at, text) in enumerate(parts):
        stream.feed(text)
        if index + 1 < len(parts) and parts[index + 1][0] - looked < TOGETHER:
            continue
        looked = at
        for row in screen.dirty:
            spans = _row(screen.buffer[row])
            before, since = now.get(row, ((), 0.0))
            if spans != before:
                if before:
                    found.append(Shown(row, before, since, at))
                now[row] = (spans, at)
        screen.dirty.clear()
    found += [Shown(row, spans, since, None) for row, (spans, since) in now.items() if spans]
    return sorted(found, key=lambda one: (one.begin, one.row))


def scrolled(shown: Sequence[Shown]) -> list[tuple[float, int]]:
    """Return how many rows are above the picture, from when."""
    moves: list[tuple[float, int]] = []
    lowest = SEEN - 1
    for one in shown:
        if one.row > lowest:
            lowest = one.row
            moves.append((one.begin, lowest - SEEN + 1))
    return moves


def svg(recording: Recording, theme: str) -> str:
    """Draw the run."""
    colours = THEMES[theme]
    shown = rows(recording)
    last = max((one.row for one in shown if one.end is None), default=0)
    shown = [one for one in shown if one.row <= last]
    plays = max(one.begin for one in shown)
    moves = [(0.0, 0), *scrolled(shown)]
    width, height = LEFT * 2 + COLUMNS * WIDTH, TOP + (min(last, SEEN - 1) + 1) * HEIGHT + 14
    inner = f'y="40" height="{height - 41:g}"'
    took = recording.parts[-1][0]
    steps = "".join(
        f"{100 * at / max(plays, 0.1):.1f}%{{transform:translateY({-above * HEIGHT}px)}}" for at, above in moves
    )
    end = f"transform:translateY({-moves[-1][1] * HEIGHT}px)"
    title = escape(recording.command)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img"',
            f'width="{width:g}" height="{height:g}" xml:space="preserve"><title>{title} in a terminal</title><style>',
            "text{font:14px ui-monospace,'SF Mono','Cascadia Mono','DejaVu Sans Mono',monospace;white-space:pre}",
            ".b{font-weight:700}",
            *(f".{name}{{fill:{colours[name]}}}" for name in colours),
            # What cannot play it shows the end.
            ".f{animation:late 0s backwards}.o{visibility:hidden;animation:on 0s forwards,off 0s forwards}",
            "@keyframes late{from{visibility:hidden}}",
            "@keyframes on{to{visibility:visible}}@keyframes off{to{visibility:hidden}}",
            f".c{{{end};animation:follow {max(plays, 0.1):.1f}s step-end}}@keyframes follow{{{steps}to{{{end}}}}}",
            "@media(prefers-reduced-motion:reduce){.f,.o,.c{animation:none}}",
            "</style>",
            f'<rect x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="12" class="ground"',
            f'stroke="{colours["line"]}"/>',
            f'<path d="M.5 33h{width - 1:g}" stroke="{colours["line"]}"/>',
            *(f'<circle cx="{x}" cy="17" r="5.5" class="line"/>' for x in (20, 40, 60)),
            f'<text x="{width - LEFT:g}" y="22" text-anchor="end" class="soft">'
            + (f"{took:.0f} s, played in {plays:.0f} s</text>" if took > plays + 1 else "</text>"),
            f'<svg width="{width:g}" {inner} viewBox="0 40 {width:g} {height - 41:g}"><g class="c">',
            f'<text x="{LEFT}" y="{TOP - 8}"><tspan class="green">$</tspan><tspan class="text"> {title}</tspan></text>',
            *(drawn(one, colours) for one in shown),
            "</g></svg></svg>",
            "",
        ]
    )


def drawn(one: Shown, colours: Mapping[str, str]) -> str:
    """Draw what a row shows for a time: the end of it stays."""
    y = TOP + (one.row + 1) * HEIGHT - 8
    texts = "".join(
        f'<text x="{LEFT + span.column * WIDTH:g}" y="{y}" textLength="{len(span.text) * WIDTH:g}"'
        f' class="{span.colour if span.colour in colours else "text"}{" b" if span.bold else ""}">'
        f"{escape(span.text, quote=False)}</text>"
        for span in one.spans
    )
    if one.end is None:
        return f'<g class="f" style="animation-delay:{one.begin:.1f}s">{texts}</g>'
    return f'<g class="o" style="animation-delay:{one.begin:.1f}s,{one.end:.1f}s">{texts}</g>'


def last_screen(picture: str) -> list[str]:
    """Return the lines that a picture shows at its end."""
    lines: list[str] = []
    for group in re.findall(r'<g class="f"[^>]*>(.*?)</g>', picture):
        lines.append("  ".join(unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", group)))
    return lines


def lines(recording: Recording) -> list[str]:
    """Return every line that was shown at some time, as text."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]", "", recording.output)
    return list(dict.fromkeys(re.split(r"[\r\n]+", text)))


def like(line: str) -> str:
    """Return what of a line stays the same from run to run: no figure, no time, no id, no spaces."""
    return " ".join(re.sub(r"\b[0-9a-f]*\d[0-9a-f.,:]*\b", "0", line).split())


def kept(picture: Sequence[str], product: Sequence[str], alike: float = 0.75) -> float:
    """Return the share of the lines of a picture that the product still shows, but for figures."""
    shown = [like(line) for line in product]
    lines = [like(line) for line in picture if re.search(r"[a-z]{3}", line)]
    found = sum(
        any(SequenceMatcher(None, line, other, autojunk=False).ratio() >= alike for other in shown) for line in lines
    )
    return found / max(len(lines), 1)
