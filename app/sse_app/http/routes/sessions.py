"""What a browser gets for its credential: a ticket for the address of an EventSource, or a session in a cookie."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, ValidationError

from sse_app.access.authority import Authority, Wish
from sse_app.access.credentials import COOKIE, require_same_origin
from sse_app.base import channels
from sse_app.base.asgi import header_values
from sse_app.base.problem import Problem
from sse_app.http import body, openapi

# Strict: the page of another site cannot make a browser send it, not even by a link.
_MOST_BYTES = 32_768  # of the body that asks for a ticket
_MOST_SECONDS = 3600  # in which a ticket may begin streams
_MOST_PATTERNS = 100
_Pattern = Annotated[str, Field(pattern=openapi.FILTER_PATTERN)]
_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Strict"


class Issued(BaseModel):
    """A ticket; times are Unix seconds."""

    model_config = {
        "json_schema_extra": {
            "examples": [{"ticket": "WyJ0aWNrZXQi...", "begins_until": 1790000060, "expires": 1790043200}]
        }
    }

    ticket: str
    begins_until: int
    expires: int


class Narrow(BaseModel):
    """The part of the rights that a ticket gets, and for how many seconds it begins streams and publishes."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"examples": [{"subscribe": ["orders.42"], "publish": [], "seconds": 60}]},
    }

    subscribe: list[_Pattern] = Field([], max_length=_MOST_PATTERNS)
    publish: list[_Pattern] = Field([], max_length=_MOST_PATTERNS)
    seconds: int = Field(0, ge=1, le=_MOST_SECONDS, strict=True)


def router(authority: Authority) -> APIRouter:
    """The routes."""
    made = APIRouter(prefix="/api/v1")
    refusals = openapi.problems(400, 401, 403)

    @made.post(
        "/tickets", responses=openapi.problems(400, 401, 403, 408, 413, 415, 422), openapi_extra=openapi.body(Narrow)
    )
    async def ticket(request: Request, response: Response) -> Issued:
        """A ticket for ?ticket=: it begins streams until `begins_until`, and resumes them until `expires`.

        Without a body it may subscribe to whatever the credential may. With one it has just the rights that it names.
        """
        access = authority.access(request.scope)
        text, given = authority.issue("ticket", access, await _wish(request))
        response.headers["cache-control"] = "no-store"
        return Issued(ticket=text, begins_until=given.fresh_until, expires=given.expires)

    @made.post("/session", status_code=204, responses=refusals)
    async def session(request: Request) -> Response:
        """Put a session with the rights of the credential into a cookie that no script can read."""
        text, given = authority.issue("session", authority.access(request.scope))
        return _cookie(text, max(0, given.expires - given.given))

    @made.post("/session/end", status_code=204, responses=openapi.problems(403))
    async def logout(request: Request) -> Response:
        """Delete the cookie of the session in the browser."""
        if header_values(request.scope, b"sec-fetch-site"):  # a browser sends a form of any page, without the cookie
            require_same_origin(request.scope)
        return _cookie("", 0)

    _ = ticket, session, logout
    return made


async def _wish(request: Request) -> Wish | None:
    """What the body asks for; None where it is empty."""
    text = await body.read(request.scope, request.receive, _MOST_BYTES)
    if not text:
        return None
    document = body.document(text)
    if not isinstance(document, dict):
        raise Problem(422, 'expected an object such as {"subscribe": ["orders.42"]}')
    try:
        asked = Narrow.model_validate(document)
    except ValidationError as error:
        field, detail = next(body.wrong_fields(error, Narrow.model_fields))
        raise Problem(422, f"{field[:200]}: {detail}") from None
    return Wish(channels.parse(asked.publish), channels.parse(asked.subscribe), asked.seconds)


def _cookie(value: str, seconds: int) -> Response:
    cookie = f"{COOKIE}={value}; Max-Age={seconds}; {_ATTRIBUTES}"
    return Response(status_code=204, headers={"set-cookie": cookie, "cache-control": "no-store"})
