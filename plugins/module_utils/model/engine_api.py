# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What an engine can do, by the version of its API.

An engine may call itself anything: 20.10.25+dfsg1, 27.0.0-rc.1, dev, library-import. Its API has two numbers in all of
them, and each feature came with one (Docker Engine API, version history).
"""

from __future__ import annotations

import re

PLATFORM = (1, 41)  # Engine 20.10: all that the platform asks for
# Engine 25: a check of health has a shorter interval at the beginning, and on internal networks the neighbour discovery
# of IPv6 passes (moby/moby#45649; 20.10 and 26.1 measured).
EARLY_CHECKS = INTERNAL_IPV6 = (1, 44)
# Engine 25, too: a service of a Swarm can ask for no-new-privileges, which earlier ones leave out without an error
# (moby/swarmkit#3152).
SWARM_HARDENING = (1, 44)
IP6TABLES = (1, 46)  # Engine 27: ip6tables is on by default; before, it is experimental (release notes, 27.0)


def has(api_version: str, feature: tuple[int, int]) -> bool:
    """Tell whether an engine with this version of the API has a feature; one that cannot be read has none."""
    found = re.match(r"(\d+)\.(\d+)", api_version)
    return found is not None and (int(found[1]), int(found[2])) >= feature
