"""The words by which metrics, statistics and streams say what happened: each Literal lists the values of one label."""

from typing import Literal

# fmt: off
Outcome = Literal[  # of a publish
    "accepted", "invalid", "unauthorized", "forbidden", "limited", "conflict", "too_large", "overload", "draining",
    "paused", "unknown",
]
Source = Literal["new", "ring", "redis", "log", "gap"]  # of the first events of a stream
GapReason = Literal["expired", "truncated", "malformed"]
StreamEnd = Literal["client", "bye", "slow", "behind", "log", "error"]
AccessEnd = Literal["expired", "revoked"]
WritePath = Literal["direct", "send"]
Skipped = Literal["duplicate", "no_event"]
Refusal = Literal[  # of a credential
    "missing", "malformed", "unknown_key", "signature", "expired", "immature", "claims", "revoked", "stale",
]
Decision = Literal["allowed", "refused"]  # about a right
Permission = Literal["publish", "subscribe", "statistics", "credential"]
Exported = Literal["sent", "dropped", "failed"]  # spans
Limit = Literal["publish", "streams", "time"]
SharedLimit = Literal["publish", "streams"]  # that the replicas count together
