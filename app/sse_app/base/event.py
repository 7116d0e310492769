"""What a publisher may send."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from sse_app.base.channels import CHANNEL
from sse_app.base.json_value import compact

NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")  # no control character, and no line end of any standard
RESERVED = frozenset(
    {"gap", "bye", "cursor", "meta", "traceparent"}
)  # the stream sends these itself: nobody may forge them


class Event(BaseModel):
    """One event as published."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"channel": "orders", "event": "created", "data": {"n": 1}}]},
    )

    channel: Annotated[str, StringConstraints(pattern=rf"^{CHANNEL.pattern}$")]
    event: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=rf"^{NAME.pattern}$")] = "message"
    data: Any = Field(description="A string is sent as it is, any other value as compact JSON")

    @field_validator("event")
    @classmethod
    def _name(cls, value: str) -> str:
        if value in RESERVED:
            raise ValueError("the name is reserved for events of the stream itself")
        return value

    def payload(self) -> bytes:
        """The data as UTF-8; ValueError for what UTF-8 or JSON (RFC 8259) cannot express."""
        if isinstance(self.data, str):
            return self.data.encode()
        return compact(self.data).encode()
