"""No part of a password in an address is shown, also where its owner did not percent-encode it."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model.password import without_password


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:p%40ss@proxy:3128/", "http://proxy:3128/"),
        ("http://me:p@ss@proxy", "http://proxy"),
        ("http://me:p/ss@proxy", "http://proxy"),
        ("http://me:p?s#s@proxy", "http://proxy"),
        ("http://me:1/2@proxy", "http://proxy"),
        ("http://me:it's\"so`@proxy", "http://proxy"),
        ("https://token@index/simple", "https://index/simple"),
        ("socks5h://:pass@proxy", "socks5h://proxy"),
        ("['http://me:a@one', 'http://me:b@two']", "['http://one', 'http://two']"),
        ("http://proxy:3128 said mail@example.org", "http://proxy:3128 said mail@example.org"),
        ("404 of https://registry.example/@scope/package", "404 of https://registry.example/@scope/package"),
        ("unix:///run/user@1.sock", "unix:///run/user@1.sock"),
        ("nothing", "nothing"),
    ],
)
def test_an_address_is_shown_without_user_and_password(text: str, shown: str) -> None:
    assert without_password(text) == shown
    assert without_password(text, "***@").replace("***@", "") == shown
