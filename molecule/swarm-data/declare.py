"""Change what the inventory of Molecule says: declare.py DIRECTORY NAME=VALUE... A group has hosts, as in data=a,b."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml


def main() -> None:
    """Write the files that Molecule wrote, until it writes them again."""
    place = Path(sys.argv[1])
    hosts, settings = place / "hosts", place / "group_vars" / "all"
    groups: dict[str, Any] = yaml.safe_load(hosts.read_text())
    values: dict[str, Any] = yaml.safe_load(settings.read_text())
    for name, _, value in (one.partition("=") for one in sys.argv[2:]):
        if name in groups["all"]["children"]:
            groups["all"]["children"][name] = {"hosts": {one: {} for one in value.split(",")}}
        else:
            values[name] = yaml.safe_load(value)
    hosts.write_text(yaml.safe_dump(groups))
    settings.write_text(yaml.safe_dump(values))


if __name__ == "__main__":
    main()
