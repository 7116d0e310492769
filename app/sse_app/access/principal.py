"""Who sends a request, and what the credential allows."""

import hashlib
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
    ticket: str = ""  # the id of the narrow ticket that it shows, where it has one

    @property
    def keys(self) -> str:
        """Whose idempotency keys it uses: those of a narrow ticket are not those of its source.

        Else a visitor could use up the keys of the server that hands out tickets, and its publishes would be refused.
        All tickets with the same right to publish share theirs, so that a page can repeat a publish with a new ticket.
        """
        if not self.narrow:
            return self.name
        rights = "\n".join(self.publish.names())
        return f"{self.name}\n{hashlib.blake2b(rights.encode(), digest_size=8).hexdigest()}"


_ALL = Filter(frozenset(), frozenset({""}))
ANONYMOUS = Principal("anonymous", _ALL, _ALL, "")


def visitor(public: Filter) -> Principal:
    """Who shows no credential where authorization is on: may read the public channels, and nothing else."""
    return Principal("visitor", NOTHING, public, "")
