"""What a browser gets for its credential: a ticket for the address of an EventSource, or a session in a cookie."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from sse_app.access.authority import Authority
from sse_app.access.credentials import COOKIE
from sse_app.http import openapi

# Strict: the page of another site cannot make a browser send it, not even by a link.
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


def router(authority: Authority) -> APIRouter:
    """The routes."""
    made = APIRouter(prefix="/api/v1")
    refusals = openapi.problems(400, 401, 403)

    @made.post("/tickets", responses=refusals)
    async def ticket(request: Request, response: Response) -> Issued:
        """A ticket for ?ticket=: it begins streams until `begins_until`, and resumes them until `expires`."""
        text, given = authority.issue("ticket", authority.access(request.scope))
        response.headers["cache-control"] = "no-store"
        return Issued(ticket=text, begins_until=given.fresh_until, expires=given.expires)

    @made.post("/session", status_code=204, responses=refusals)
    async def session(request: Request) -> Response:
        """Put a session with the rights of the credential into a cookie that no script can read."""
        text, given = authority.issue("session", authority.access(request.scope))
        return _cookie(text, max(0, given.expires - given.given))

    @made.post("/session/end", status_code=204)
    async def logout() -> Response:
        """Delete the cookie of the session in the browser."""
        return _cookie("", 0)

    _ = ticket, session, logout
    return made


def _cookie(value: str, seconds: int) -> Response:
    cookie = f"{COOKIE}={value}; Max-Age={seconds}; {_ATTRIBUTES}"
    return Response(status_code=204, headers={"set-cookie": cookie, "cache-control": "no-store"})
