"""Build the documentation as a site, and with --serve look at it: python tools/docs_site.py [--serve [PORT]]."""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import docs_reference
from lint import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SITE = ROOT / ".ansible" / "site"  # ignored by git, and by the collection's build
HTML = SITE / "html"
PORT = 3080
CONFIGURATION = ROOT / "docs" / "site"
STRICT = ("-b", "html", "-W", "--keep-going", "-q")  # a warning is an error, and all of them are shown
# What a browser would ask another host for by itself; a link that a reader may follow is none of it.
FOREIGN = re.compile(
    r"""<(?:script|img|iframe|source|audio|video|embed)\b[^>]*\bsrc(?:set)?=["'](?:https?:)?//[^"']+"""
    r"""|<link\b[^>]*\bhref=["'](?:https?:)?//[^"']+|@import\s+(?:url\()?["']?(?:https?:)?//[^"')]+"""
    r"""|url\(["']?(?:https?:)?//[^"')]+"""
)
FIRST = "README"
SETTINGS = "docs/reference/settings"  # the pages of the roles hang on this one
# The pages by section, in the order of the menu. A test holds that every page of the repository has its place.
SECTIONS: dict[str, tuple[str, ...]] = {
    "Start": ("docs/control-room", "docs/glossary"),
    "Run it": (
        "docs/operations",
        "docs/runbook",
        "docs/observability",
        "docs/network-guide",
        "docs/hosts",
        "docs/sizing",
        "docs/scaling",
        "docs/cluster",
        "docs/cluster-measured",
        "docs/authorization",
        "docs/services",
        "docs/external-kafka-redis",
    ),
    "Write programs": (
        "docs/http-api",
        "docs/events",
        "docs/publishing",
        "clients/python/README",
        "clients/typescript/README",
        "docs/clients",
    ),
    "Reference": (
        "docs/reference/commands",
        "docs/reference/settings",
        "docs/reference/http",
        "docs/reference/modules",
    ),
    "Behind it": (
        "docs/architecture",
        "docs/performance",
        "docs/threat-model",
        "SECURITY",
        "CONTRIBUTING",
        "dashboard/README",
        "molecule/README",
        "CODE_OF_CONDUCT",
        "CHANGELOG",
    ),
}
# What the menu calls a page, where its own title says too little beside the others.
TITLES = {
    "clients/python/README": "A Python client",
    "clients/typescript/README": "A TypeScript client",
    "dashboard/README": "The control room from inside",
    "molecule/README": "Tests on whole hosts",
    "CHANGELOG": "Changes",
}
# Pages that are for one place in the repository alone.
ELSEWHERE = {"tools/compose_files/README"}
MARKER = re.compile(r"^<!-- site: (\w+) -->$", re.MULTILINE)
PICTURE = re.compile(
    r'<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]+)">\s*'
    r'<img (?:width="\d+"\s+)?src="(?P<light>[^"]+)"\s+alt="(?P<alt>[^"]+)">\s*</picture>'
)
MERMAID = re.compile(r"^```mermaid\n.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)\s]+)\)")
TOPOLOGY = "docs/images/topology-{}.svg"


def roles() -> list[str]:
    """Return the pages of the roles."""
    return [str(page.relative_to(ROOT).with_suffix("")) for page in sorted((ROOT / "roles").glob("*/README.md"))]


def sections() -> dict[str, list[str]]:
    """Return the pages by section."""
    return {name: [page for page in listed if (ROOT / f"{page}.md").exists()] for name, listed in SECTIONS.items()}


def pages() -> list[str]:
    """Return every page of the site."""
    return [FIRST, *(page for section in sections().values() for page in section), *roles()]


def source(text: str, page: str, made: Callable[[str], str] | None = None) -> str:
    """Return the Markdown of a page as the site wants it: with what is made from the code, and with two themes."""
    make = made or docs_reference.made
    up = "../" * page.count("/")
    text = MARKER.sub(lambda found: make(found[1]), text)
    text = PICTURE.sub(lambda found: figures(found["light"], found["dark"], found["alt"]), text)
    drawn = figures(up + TOPOLOGY.format("light"), up + TOPOLOGY.format("dark"), "The containers and their connections")
    text = MERMAID.sub(lambda _: drawn, text)
    text = outside_code(text, lambda line: LINK.sub(lambda found: link(page, found[0], found[1], found[2]), line))
    if page == "CHANGELOG":
        text = text.replace("\n<a id=", f"\n{make('changes')}\n\n<a id=", 1)
    if page == FIRST:
        return text + "".join(branch(listed, name) for name, listed in sections().items())
    return text + branch(roles()) if page == SETTINGS else text


def figures(light: str, dark: str, alt: str) -> str:
    """Return a picture for each theme."""
    return "\n".join(
        f"```{{image}} {path}\n:alt: {alt}\n:class: only-{theme}\n```\n"
        for path, theme in ((light, "light"), (dark, "dark"))
    )


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change the lines of a page that are no block of code."""
    lines: list[str] = []
    code = False
    for line in text.split("\n"):
        code ^= line.startswith("```")
        lines.append(line if code or line.startswith("    ") else change(line))
    return "\n".join(lines)


def link(page: str, whole: str, text: str, target: str) -> str:
    """Return a link of a page; one to a directory, which a site does not have, becomes its text."""
    leads = (ROOT / page).parent / target.partition("#")[0]
    return text if leads.is_dir() else whole


def branch(listed: Sequence[str], caption: str = "") -> str:
    """Return a part of the menu, which stands at the end of the page that it hangs on."""
    first = ["Start <self>"] if caption == next(iter(SECTIONS)) else []
    named = [f":caption: {caption}"] if caption else []
    return "\n".join(["", "```{toctree}", ":hidden:", *named, "", *first, *map(entry, listed), "```", ""])


def entry(page: str) -> str:
    """Return a page as the menu names it."""
    return f"{TITLES[page]} </{page}>" if page in TITLES else f"/{page}"


def colours() -> tuple[dict[str, str], dict[str, str]]:
    """Return the colours of the dashboard for its light and its dark theme: the site has the same."""
    styles = "\n".join(path.read_text() for path in sorted((ROOT / "dashboard/src").rglob("*.css")))
    found = re.findall(r"--([\w-]+):\s*light-dark\(([^,()]+),\s*([^()]+)\)", styles)
    return {name: light.strip() for name, light, _ in found}, {name: dark.strip() for name, _, dark in found}


def build() -> int:
    """Build the site anew. A broken link, to a page or within one, is an error."""
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", *STRICT, "-c", str(CONFIGURATION), "-d", str(SITE / "doctrees")]
    if ended := subprocess.run([*command, ".", str(HTML)], cwd=ROOT, check=False).returncode:
        return ended
    if found := foreign(HTML):
        sys.stderr.write("These pages ask another host:\n" + "\n".join(found) + "\n")
        return 1
    shutil.copy(HTML / f"{FIRST}.html", HTML / "index.html")
    sys.stdout.write(f"The site is in {HTML.relative_to(ROOT)}.\n")
    return 0


def foreign(site: Path) -> list[str]:
    """Return what the pages and styles of a site would load from another host."""
    found: list[str] = []
    for path in sorted(site.rglob("*")):
        if path.suffix in {".html", ".css", ".svg"}:
            found += [f"{path.relative_to(site)}: {one}" for one in FOREIGN.findall(path.read_text())]
    return found


def serve(port: int) -> None:
    """Serve the site to this machine until Ctrl-C."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(HTML))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise SystemExit(f"Port {port} of 127.0.0.1 cannot be opened ({why}): choose one with --serve PORT.") from None
    with server, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(f"Look at it: http://127.0.0.1:{server.server_port}/ (Ctrl-C ends)\n")
        sys.stdout.flush()
        server.serve_forever()


def main() -> int:
    """Build, and serve if asked to."""
    parser = argparse.ArgumentParser(prog="docs_site.py", description=__doc__)
    parser.add_argument("--serve", nargs="?", type=int, const=PORT, metavar="PORT", help="then serve it on 127.0.0.1")
    options = parser.parse_args()
    if ended := build():
        return ended
    if options.serve is not None:
        serve(options.serve)
    return 0


if __name__ == "__main__":
    sys.exit(main())
