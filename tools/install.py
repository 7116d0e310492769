"""Install what a lock names into the Python environment that runs this, whatever the user's settings of pip say.

Settings say where packages come from (an index of one's own, a proxy, certificates): these are kept. All others are
left out, because they send packages elsewhere (user, target, prefix), or leave some out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Long names of the options of pip (pip, Configuration).
KEPT = {
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert", "client-cert", "proxy"),
    *("timeout", "default-timeout", "retries", "keyring-provider", "cache-dir", "no-cache-dir", "use-feature"),
}
# A line of `pip config list`, such as global.index-url='https://...'.
SETTING = re.compile(r"^(?P<section>global|install|:env:)\.(?P<name>[\w-]+)=(?P<quote>['\"])(?P<value>.*)(?P=quote)$")
# With `user = true` in pip.conf, pip would tell only the settings of the user's file.
LISTING = {"PIP_USER": "0", "PIP_GLOBAL": "0", "PIP_SITE": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
ORDER = ("global", "install", ":env:")  # the later one counts


def settings(listed: str) -> dict[str, str]:
    """Return what `pip config list` tells of where packages come from, as environment variables."""
    found = [match.groupdict() for line in listed.splitlines() if (match := SETTING.match(line))]
    found.sort(key=lambda one: ORDER.index(one["section"]))
    return {
        "PIP_" + one["name"].upper().replace("-", "_"): one["value"].replace("\\n", " ").strip()
        for one in found
        if one["name"] in KEPT and one["value"]
    }


def environment(own: Mapping[str, str], listed: str) -> dict[str, str]:
    """Return the environment in which pip installs."""
    left = {name: value for name, value in own.items() if not name.startswith("PIP_")}
    given = {
        name: value
        for name, value in own.items()
        if name.startswith("PIP_") and value and name[4:].lower().replace("_", "-") in KEPT
    }
    return {**left, **settings(listed), **given, "PIP_CONFIG_FILE": os.devnull}


def main(lock: str) -> int:
    """Install; return pip's exit code."""
    pip = [sys.executable, "-m", "pip"]
    listed = subprocess.run(
        [*pip, "config", "list"], capture_output=True, text=True, check=False, env={**os.environ, **LISTING}
    )
    if listed.returncode:
        sys.stderr.write(f"sse: pip cannot read its settings, and works without them: {listed.stderr.strip()[-300:]}\n")
    command = [*pip, "install", "-q", "--disable-pip-version-check", "--no-input", "--require-hashes", "-r", lock]
    ended = subprocess.run(command, check=False, env=environment(os.environ, listed.stdout)).returncode
    if ended:
        sys.stderr.write(
            "sse: the Python packages could not be installed; pip says above why. It needs a package index: set one\n"
            "sse: with PIP_INDEX_URL or pip.conf, a proxy with HTTPS_PROXY, or use ./sse bundle on a machine that has\n"
            "sse: one.\n"
        )
    return ended


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
