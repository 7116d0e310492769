"""The page about services of one's own is made from the parsers that judge them."""

from __future__ import annotations

from typing import Any

import pytest
import service_docs
import yaml
from ansible_collections.sse.platform.plugins.module_utils.model import release, route, segments


@pytest.mark.parametrize("name", service_docs.FIELDS)
def test_every_key_that_a_parser_knows_has_a_meaning_and_no_other(name: str) -> None:
    assert set(service_docs.MEANINGS[name]) == set(service_docs.FIELDS[name])


def test_the_tables_of_the_page_are_up_to_date() -> None:
    written = service_docs.PAGE.read_text()
    assert written == service_docs.page(written), "run: .venv/bin/python tools/service_docs.py"
    assert all(f"<!-- keys: {name} -->" in written for name in service_docs.FIELDS)


def test_the_example_of_the_page_makes_a_release() -> None:
    text = service_docs.PAGE.read_text()
    block = text[text.index("    services_extra:") :].partition("\n\n")[0]
    services: dict[str, Any] = yaml.safe_load(block)["services_extra"]
    key = '{"args": {}, "build": "./tool", "from": {}}'
    network = segments.bridge(
        "network", "n", {"subnet": "10.1.0.0/24", "gateway": "10.1.0.1", "ip_range": "10.1.0.128/25"}
    )
    made = release.build(
        services, stack="s", project="p", networks={"network": network}, references={key: "own:1"}, unavailable={}
    )
    assert made["containers"]["s-tool"]["image"] == "own:1"
    assert route.parse_all(services)[0]["strip"] is True
