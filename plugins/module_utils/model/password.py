# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Passwords in addresses, which no output may hold."""

from __future__ import annotations

import re

# From the user to the last @, because a password may hold @, / and quotes that its owner did not percent-encode. Where
# neither a user nor a port stands before the path, an @ belongs to the path, as in https://registry/@scope/package.
IN_ADDRESS = re.compile(r"(?<=://)[^\s/?#:@]*(?=[:@])\S*@")


def without_password(text: str, instead: str = "") -> str:
    """Return a text whose addresses have no user and no password.

    :param instead: what stands in their place, with its @
    """
    return IN_ADDRESS.sub(instead, text)
