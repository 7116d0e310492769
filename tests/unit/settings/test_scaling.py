"""Which setting `./sse scale` changes, and which words it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.settings.scaling import ScaleError, scaled

OPTIONS: Any = {"web_count": {"type": "int", "scales": "web"}, "web_memory": {"type": "str"}}


def test_a_service_is_scaled_by_the_setting_that_its_role_declares() -> None:
    assert scaled(["web=5"], OPTIONS) == {"web_count": "5"}
    assert scaled([], OPTIONS) == {}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("db=2", "scale db=2: 'db' cannot be scaled; expected one of web"),
        ("web", "scale web: expected SERVICE=N, such as web=3"),
        ("web=many", "scale web=many: expected SERVICE=N"),
    ],
)
def test_other_words_are_refused(word: str, said: str) -> None:
    with pytest.raises(ScaleError, match=said):
        scaled([word], OPTIONS)


def test_two_numbers_for_one_service_are_refused() -> None:
    assert scaled(["web=2", "web=2"], OPTIONS) == {"web_count": "2"}
    with pytest.raises(ScaleError, match="scale web=3: web is given twice, as 2 and as 3"):
        scaled(["web=2", "web=3"], OPTIONS)
