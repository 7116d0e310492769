"""What an engine can do is told by the version of its API, whatever it calls itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import engine_facts
from ansible_collections.sse.platform.plugins.module_utils.model import engine_api


@pytest.mark.parametrize(
    ("version", "features"),
    [
        ("1.40", 0),
        ("1.41", 1),
        ("1.44", 2),
        ("1.46", 3),
        ("1.100", 3),  # numbers, not letters
        ("2.0", 3),
        ("1.46-dev", 3),
        ("1.9", 0),
        ("dev", 0),
        ("", 0),
    ],
)
def test_the_version_of_the_api_tells_what_an_engine_can_do(version: str, features: int) -> None:
    known = (engine_api.PLATFORM, engine_api.INTERNAL_IPV6, engine_api.IP6TABLES)
    assert [engine_api.has(version, one) for one in known] == [place < features for place in range(3)]


@pytest.mark.parametrize("name", ["20.10.25+dfsg1", "27.0.0-rc.1", "dev", "library-import", ""])
@pytest.mark.parametrize(("api", "stable"), [("1.41", False), ("1.46", True)])
def test_what_an_engine_calls_itself_decides_nothing(name: str, api: str, stable: bool) -> None:
    engine = engine_facts.describe_engine({}, {"Version": name, "ApiVersion": api}, {}, None)
    assert engine["stable_ip6tables"] is stable
    assert engine["version"] == name


def test_no_role_and_no_module_compares_what_an_engine_calls_itself() -> None:
    root = Path(__file__).parents[3]
    files = [*root.glob("roles/*/*/*.yml"), *root.glob("playbooks/**/*.yml"), *root.glob("plugins/**/*.py")]
    compared = re.compile(r"""engine\.version\b[^\n]*is version|engine["']\]\["version["']\](\.|[^\n]*[<>]=? )""")
    assert len(files) > 200
    assert not [str(path) for path in files if compared.search(path.read_text())]
