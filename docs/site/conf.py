"""How Sphinx builds the site. tools/docs_site.py calls it, and knows the pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import docs_site  # noqa: E402 - it is found only now

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "sse.platform"
author = "sse.platform maintainers"
extensions = ["myst_parser"]
root_doc = docs_site.FIRST
source_suffix = {".md": "markdown"}
include_patterns = [f"{page}.md" for page in docs_site.pages()]
exclude_patterns = [".*", "**/.*", "**/node_modules"]  # also keeps Sphinx from walking through them
myst_heading_anchors = 6
smartquotes = False  # a quote or two dashes in a sentence may be a part of a command
highlight_language = "sh"
html_theme = "furo"
html_title = "sse.platform"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
pygments_style = "tango"
pygments_dark_style = "github-dark"


def _variables(colours: dict[str, str]) -> dict[str, str]:
    """Return the colours of the dashboard by the names that the theme has for them."""
    return {
        "color-brand-primary": colours["accent"],
        "color-brand-content": colours["accent-2"],
        "color-brand-visited": colours["accent-2"],
        "color-foreground-primary": colours["text"],
        "color-foreground-secondary": colours["soft"],
        "color-foreground-muted": colours["soft"],
        "color-foreground-border": colours["line"],
        "color-background-primary": colours["card"],
        "color-background-secondary": colours["ground"],
        "color-background-hover": colours["raised"],
        "color-background-border": colours["line"],
        "color-inline-code-background": colours["raised"],
        "color-code-background": colours["raised"],
        "color-code-foreground": colours["text"],
        "color-table-border": colours["line"],
        "color-highlight-on-target": colours["raised"],
        "font-stack": "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif",
        "font-stack--monospace": "ui-monospace, 'SF Mono', 'Cascadia Mono', 'DejaVu Sans Mono', monospace",
    }


_light, _dark = (_variables(colours) for colours in docs_site.colours())
html_theme_options = {"light_css_variables": _light, "dark_css_variables": _dark, "navigation_with_keys": True}


def _read(_: Sphinx, page: str, content: list[str]) -> None:
    content[0] = docs_site.source(content[0], page)


def setup(app: Sphinx) -> None:
    """Hand each page to docs_site on its way in."""
    app.connect("source-read", _read)
