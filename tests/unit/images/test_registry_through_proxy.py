"""Where only the engine has a proxy, it tells whether images can be pulled."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from ansible_collections.sse.platform.plugins.action.images import CATALOGUE, ActionModule
from ansible_collections.sse.platform.plugins.module_utils.host import engine_traits
from ansible_collections.sse.platform.plugins.module_utils.images.catalogue import parse_catalogue

SETTINGS: Any = {
    "images_registry_prefix": "mirror.example:5000/m",
    "kafka_coordination": "kraft",
    "kafka_remote_servers": [],
    "redis_remote_server": "",
    "alerts_to": {},
    "exposure_tls": "off",
    "grafana_archive": "",
    "grafana_archive_sha256": "",
}


@pytest.mark.parametrize(
    ("directly", "info", "problems", "reached", "asked"),
    [
        (True, {"HttpsProxy": "http://xxxxx:xxxxx@proxy:1"}, {}, True, 0),
        (False, {"HttpsProxy": "http://xxxxx:xxxxx@proxy:1"}, {}, True, 1),
        (False, {"HttpProxy": "http://proxy:1"}, {"debian": "it is not there"}, False, 1),
        (False, {"HttpProxy": "", "HttpsProxy": ""}, {}, False, 0),
        (False, {}, {}, False, 0),
        (False, None, {}, False, 0),
    ],
)
def test_an_engine_with_a_proxy_is_asked_where_the_host_gets_no_answer(
    monkeypatch: pytest.MonkeyPatch, directly: bool, info: Any, problems: dict[str, str], reached: bool, asked: int
) -> None:
    action = cast("Any", object.__new__(ActionModule))
    references: list[str] = []
    monkeypatch.setattr(action, "_registry_answers", lambda _: directly)
    monkeypatch.setattr(action, "_asked_by_engine", lambda these, _: references.extend(these) or problems)
    catalogue = parse_catalogue(yaml.safe_load(Path(CATALOGUE).read_text())["__images_catalogue"], SETTINGS)
    traits = engine_traits.describe(info or {}, cast("Any", {}), {}, [], None)
    observed: Any = {"engine": None if info is None else {"traits": traits}}
    assert action._is_reached("mirror.example:5000", catalogue, SETTINGS, observed) is reached
    assert references == ["mirror.example:5000/m/library/debian:trixie-slim"] * asked
    assert "xxxxx" not in str(traits)
