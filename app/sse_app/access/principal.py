"""Who sends a request, and what the credential allows."""

import math
from dataclasses import dataclass

from sse_app.base.channels import NOTHING, Filter


@dataclass(frozen=True, slots=True)
class Principal:
    """Rights are patterns of channels; they hold until `expires` (Unix seconds) and while `source` is valid."""

    name: str  # of the publisher, as the keys of records carry it: unique over all sources
    publish: Filter
    subscribe: Filter
    source: str  # the API key or the signing key behind the rights; empty: nothing can revoke them
    expires: float = math.inf
    narrow: bool = False  # it has a part of the rights of its source


_ALL = Filter(frozenset(), frozenset({""}))
ANONYMOUS = Principal("anonymous", _ALL, _ALL, "")


def visitor(public: Filter) -> Principal:
    """Who shows no credential where authorization is on: may read the public channels, and nothing else."""
    return Principal("visitor", NOTHING, public, "")
