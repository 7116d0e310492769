"""The configuration file of an engine, as the role docker writes it: rendered from the role."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).resolve().parents[1] / "roles/docker"
ABSENT = {"engine": None, "dockerd": "", "daemon_json": {}}


def trusted(value: Any) -> Any:
    """Let Ansible take the templates in a value."""
    if isinstance(value, dict):
        return {key: trusted(one) for key, one in value.items()}
    return trust_as_template(value) if isinstance(value, str) else value


def written(host: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Return what the role writes on a host, of which it has these facts; ABSENT is one without an engine."""
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    given = {**defaults, "network_ipv6": False, "network_layout": "flat", "deployment": "host", **settings}
    variables = trusted(yaml.safe_load((ROLE / "vars/main.yml").read_text()))
    templar = Templar(loader=DataLoader(), variables={**variables, "host": host, "settings": given})
    return templar.template(trust_as_template("{{ __docker_daemon }}"))
