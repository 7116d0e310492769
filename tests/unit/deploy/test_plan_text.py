"""How a plan reads."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import plan_text
from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
from ansible_collections.sse.platform.plugins.module_utils.model.types import ActionKind

LINES: dict[ActionKind, str] = {
    "create": "+ a (new)",
    "replace": "~ a: one; two",
    "remove": "- a: one; two",
    "clear": "- a: one; two",
    "start": "> start a: one; two",
    "restart": "> restart a: one; two",
    "mend": "> mend a: one; two",
    "reload": "> reload a: one; two",
    "restore": "> restore a: one; two",
    "rename": "> rename a: one; two",
}


@pytest.mark.parametrize("kind", LINES)
def test_every_kind_of_change_has_its_sign(kind: ActionKind) -> None:
    assert plan_text.line(Action(kind, "a", ["one", "two"])) == LINES[kind]
    assert set(LINES) == set(get_args(ActionKind)) - {"keep"}


@pytest.mark.parametrize(("kind", "heading"), [("replace", "~ b"), ("reload", "> reload b")])
def test_a_diff_has_the_reasons_and_the_changed_lines_of_config(kind: ActionKind, heading: str) -> None:
    old: Any = {"config": {"/etc": {"f": "one\ntwo\n"}}}
    new: Any = {"config": {"/etc": {"f": "one\n2\n"}}}
    actions = [Action("keep", "k", []), Action("create", "a", ["missing"]), Action(kind, "b", ["config: content"])]
    assert plan_text.diff(actions, {"b": old}, {"a": new, "b": new}).splitlines() == [
        "+ a (new)",
        heading,
        "    config: content",
        "    --- /etc/f",
        "    +++ /etc/f",
        "    @@ -1,2 +1,2 @@",
        "     one",
        "    -two",
        "    +2",
    ]
    assert plan_text.diff(actions[:1], {}, {}) == ""
