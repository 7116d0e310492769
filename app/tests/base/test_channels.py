from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_app.base import channels

names = st.text("ab.:/", min_size=1, max_size=8)


@given(names, st.lists(names.map(lambda name: name + ".*") | names | st.just("*"), max_size=4))
def test_the_index_by_prefix_finds_what_the_filter_matches(name: str, wanted: list[str]) -> None:
    asked = channels.parse(wanted)
    by_index = name in asked.exact or any(prefix in asked.prefixes for prefix in channels.prefixes_of(name))
    assert by_index == asked.matches(name)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("stock.*", "stock.a", True), ("stock.*", "stock.a.b", True), ("stock.*", "stock", False),
        ("stock.*", "stocks.a", False),
        ("*", "sse-platform.verify", False), ("sse-platform.*", "sse-platform.verify", True),
        ("sse-platform.verify", "sse-platform.verify", True), ("*", "sse-platform", True),
        ("*", "anything:/at.all", True), ("stock", "stock.a", False), ("a:b/c", "a:b/c", True),
    ],
)  # fmt: skip
def test_patterns_match_below_their_prefix(pattern: str, name: str, matches: bool) -> None:
    assert channels.parse([pattern]).matches(name) == matches


@pytest.mark.parametrize("asked", ["sse-platform.canary", "sse-platform.*", "sse-platform.a.*"])
def test_the_right_to_everything_is_none_to_the_channels_of_the_platform(asked: str) -> None:
    wanted, everything = channels.parse([asked]), channels.parse(["*"])
    assert everything.lacks(wanted) == asked
    assert wanted.within(everything).empty
    assert channels.parse(["*", "sse-platform.*"]).lacks(wanted) is None
    assert wanted.within(channels.parse(["sse-platform.*"])) == wanted
    assert everything.lacks(channels.parse(["*", "a", "a.*", "sse-platform"])) is None


@pytest.mark.parametrize("name", ["", "a b", "é", "a*", "*.a", "a.*.b", "**", "x" * 201, "a\n", "a\0", "%", ".*" * 200])
def test_what_is_no_channel_is_named(name: str) -> None:
    with pytest.raises(ValueError, match="is not a channel"):
        channels.parse(["fine", name])
