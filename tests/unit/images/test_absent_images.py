"""On a host without an engine, an image of one's own whose registry is silent is refused before anything changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from played import play

if TYPE_CHECKING:
    from pathlib import Path

BARE: dict[str, Any] = {"engine": None, "images": {}, "distribution": {"id": "debian"}, "registry_answers": False}
TASKS = """
- sse.platform.settings:
- sse.platform.images:
"""


def test_a_silent_registry_is_named_with_the_image_and_its_place(tmp_path: Path) -> None:
    container = {"image": "127.0.0.1:1/team/tool:1"}
    given = {"host": BARE, "services_extra": {"tool": {"containers": {"tool": container}}}}
    run = play(tmp_path, TASKS, given)
    assert run.returncode != 0
    text = " ".join((run.stdout + run.stderr).split())
    assert "Images of your own can't be had; nothing was changed." in text
    place = "services_extra.tool.containers.tool.image"
    assert f"{place}: 127.0.0.1:1/team/tool:1 can't be had: 127.0.0.1:1 does not answer." in text
