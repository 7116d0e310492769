"""Every commented example of the inventories works when its comment sign is removed, alone and with all of its file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ansible_collections.sse.platform.plugins.module_utils.model import connections
from ansible_collections.sse.platform.plugins.module_utils.settings import options
from ansible_collections.sse.platform.plugins.module_utils.verify import kinds
from ansible_collections.sse.platform.tests import certificates
from rendered import KEYS, ROOT, Rendered, render

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = {name: one for role in options.load(ROOT / "roles", yaml.safe_load).values() for name, one in role.items()}
FILES = {
    f"{path.parts[-4]}-{path.stem}": path.read_text() for path in sorted(ROOT.glob("inventory/*/group_vars/all/*.yml"))
}


def examples(text: str) -> dict[str, Any]:
    """Uncomment what is an example: a line that begins with a name and a colon, and the deeper lines below it."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        content = line.removeprefix("#").removeprefix(" ") if line.startswith("#") else ""
        inside = bool(re.match(r"[a-z][a-z0-9_]*: *\S", content) or re.fullmatch(r"[a-z][a-z0-9_]*:", content)) or (
            inside and (content.startswith(" ") or line == "#")
        )
        if inside:
            kept.append(content)
    return yaml.safe_load("\n".join(kept)) or {}


def with_partners(name: str, among: dict[str, Any]) -> dict[str, Any]:
    """Return an example with those of the same file that it makes no sense without."""
    option = OPTIONS[name]
    rules = [one["when"] for one in option.get("refused", []) if one["when"].get(name) == among[name]]
    partners = {option.get("needs"), *option.get("only_if", {}), *(other for rule in rules for other in rule)}
    return {one: among[one] for one in among if one == name or one in partners}


def hosts() -> dict[str, dict[str, Any]]:
    """Every example alone and all of a file together, each upon what its inventory sets."""
    found: dict[str, dict[str, Any]] = {}
    seen: list[dict[str, Any]] = [{}]  # the inventories have some in common
    for name, text in FILES.items():
        inventory = name.rpartition("-")[0]
        base: dict[str, Any] = {}
        for other, content in FILES.items():
            if other.rpartition("-")[0] == inventory:
                base |= yaml.safe_load(content) or {}
        if base.get("exposure_profile") == "production":  # which is refused until publishing asks for a credential
            base |= {"app_auth": True, "app_keys_file": "keys.json"}
        among = examples(text)
        for label, chosen in {name: among, **{f"{name}-{one}": with_partners(one, among) for one in among}}.items():
            if chosen not in seen:
                found[label] = base | chosen
                seen.append(chosen)
    return found


def test_the_examples_are_found() -> None:
    assert {
        "local-services",
        "local-services-services_extra",
        "vm-example-services",
    } <= hosts().keys()
    every = {name for text in FILES.values() for name in examples(text)}
    assert every <= OPTIONS.keys()
    assert len(every) > 12


@pytest.fixture(scope="module")
def each_example(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    """All of them in one run, with the files that they name beside the inventory and in the home directory."""
    directory: Path = tmp_path_factory.mktemp("inventories")
    (directory / "certificates").mkdir()
    certificates.make(directory / "certificates/fullchain.pem", directory / "certificates/privkey.pem")
    (directory / "keys.json").write_text(KEYS.read_text())
    (directory / "home").mkdir()
    (directory / "home/grafana-12.1.0.linux-amd64.tar.gz").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(directory / "home"))
        return render(directory, hosts())


@pytest.mark.parametrize("name", hosts())
def test_an_example_passes_the_settings_and_makes_a_release(name: str, each_example: dict[str, Rendered]) -> None:
    host = each_example[name]
    assert connections.problems([host.platform, host.dashboard]) == []
    kinds.declared(host.declared)
    for setting, value in hosts()[name].items():
        given = host.settings[setting]
        is_path = "" in OPTIONS[setting].get("paths", {})
        assert given.endswith(str(value).removeprefix("~")) if is_path else given == value
