# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The terminal in front of the person who runs Ansible: whether lines can be drawn on it again, its size, colours."""

from __future__ import annotations

import os
import sys
from typing import Final

from ansible import constants
from ansible.utils.color import stringc

COLUMNS: Final = "SSE_SCREEN_COLUMNS"  # the callback names the width in the environment; a worker has no terminal
# Ansible makes these from its configuration, so users' own colours hold here, too.
NAMES: Final = {"good": "COLOR_OK", "busy": "COLOR_CHANGED", "bad": "COLOR_ERROR"}
COLOURS: Final = {mood: str(getattr(constants, name)) for mood, name in NAMES.items()}


def is_terminal() -> bool:
    """Tell whether the output is a terminal."""
    return sys.stdout.isatty()


def can_draw() -> bool:
    """Tell whether the output is a terminal on which lines can be drawn again."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM", "dumb") == "dumb"
    return is_terminal() and not plain


def size() -> tuple[int, int]:
    """Return how many columns and lines the terminal has now; a variable of the environment may be out of date."""
    try:
        found = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return 80, 24
    return found.columns or 80, found.lines or 24


def paint(text: str, mood: str) -> str:
    """Give a text the colour of good, busy or bad, where the output has colours."""
    colour = COLOURS.get(mood)
    return stringc(text, colour) if colour and text else text
