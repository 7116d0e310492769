"""The application of the framework: everything but publishing and streams."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from sse_app.access.authority import Authority
from sse_app.base import names
from sse_app.base.metrics import Metrics
from sse_app.base.problem import Problem, report
from sse_app.base.settings import Settings
from sse_app.fanout.ring import Ring
from sse_app.http import body, openapi
from sse_app.http.questions import Questions
from sse_app.http.routes import bounds, channels, documentation, health, sessions, statistics
from sse_app.http.routes.health import Readiness
from sse_app.http.routes.statistics import Statistics
from sse_app.resume.past import Past


def build(
    settings: Settings,
    ring: Ring,
    authority: Authority,
    past: Past,
    stats: Statistics,
    readiness: Readiness,
    metrics: Metrics,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
) -> FastAPI:
    """Put the routers together, in the order in which the documentation shows them."""
    app = FastAPI(
        title="SSE service",
        version="1",
        lifespan=lifespan,
        docs_url=None,  # the framework's pages load scripts from elsewhere: see docs_page.py
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat a Host that the client made up
        generate_unique_id_function=lambda route: route.name,
        responses={"default": openapi.ANY_PROBLEM},
    )
    for kind in (Problem, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _answer)
    app.add_middleware(Questions)
    openapi.describe(app)
    for router, asked in (
        (documentation.router(settings, metrics), None),
        (channels.router(settings, authority, ring, past), authority),
        (statistics.router(authority, stats), authority),
        (sessions.router(authority), authority),
        (bounds.router(settings), None),
        (health.router(readiness), None),
    ):
        app.include_router(router, dependencies=[Depends(_known_names(asked))])
    return app


def _known_names(authority: Authority | None) -> Callable[[Request], Awaitable[None]]:
    """Refuse a parameter that the route does not have: nobody would notice a misspelt one.

    :param authority: None where nobody is asked for a credential; else who has none is told that first
    """

    async def known_names(request: Request) -> None:
        route = request.scope["route"]
        try:
            names.query(request.scope, [field.alias for field in route.dependant.query_params])
        except Problem:
            if authority is not None:
                authority.access(request.scope)
            raise

    return known_names


async def _answer(request: Request, error: Exception) -> Response:
    problem = _problem(error)
    report(problem, request.scope)
    return problem.response()


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        detail = {404: "nothing is here", 405: "this address does not know this method: see Allow"}
        headers = {name: "GET, HEAD" if value == "GET" else value for name, value in (error.headers or {}).items()}
        return Problem(error.status_code, detail.get(error.status_code, error.detail), headers)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]  # of a path or a query: see body.py for bodies
        return Problem(400, f"{first['loc'][-1]}: {body.plain(first['msg'])}")
    return Problem.unexpected()
