# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A route: which paths NGINX passes on to which containers, as a service declares it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.model import spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json, RouteDeclaration

# Characters that stand for themselves in a location of NGINX, and in the path of a URL (RFC 3986, section 3.3).
url_path = spec.matching(r"/[A-Za-z0-9._~/-]*", "a path of A-Z, a-z, 0-9, /, ., _, ~ and -, such as /hello/")

ROUTE: spec.Fields = {
    "path": (url_path, ...),  # the location; with / at its end, everything below it
    "containers": (spec.list_of(spec.short_name), ...),
    "port": (spec.port, ...),
    "strip": (spec.flag, False),  # the service gets the path without the route's
    "streams": (spec.list_of(url_path), []),  # exact paths that answer with an event stream
    "heartbeat_seconds": (spec.count, None),
    # The path at which each container says whether it takes one more stream, and how many it has: see docs/services.md.
    "offers": (url_path, None),
    "sockets": (spec.dict_of(spec.short_name, spec.absolute), {}),  # file on the host of each container's Unix socket
    "socket_group": (spec.count, None),
    "publishes": (spec.list_of(url_path), []),  # exact paths that store something under an idempotency key
    "publish_seconds": (spec.count, None),
    "max_body_bytes": (spec.count, None),  # that the body of a request may have; None: as the http block says
    "reserves": (spec.list_of(spec.short_name), []),  # containers that may come later: NGINX knows their names already
    # The signal at which each container ends its streams with a `bye` and goes on: before NGINX is replaced.
    "farewell": (spec.matching("SIG(HUP|USR1|USR2)", "SIGHUP, SIGUSR1 or SIGUSR2"), None),
}
NEEDS = {"streams": "heartbeat_seconds", "sockets": "socket_group", "publishes": "publish_seconds"}
PARSE = spec.record(ROUTE)


def parse_all(declarations: Mapping[str, Any]) -> list[RouteDeclaration]:
    """Check and normalise the routes of all services.

    :raises spec.SpecError: for a route that is not valid, or two for one path
    """
    found: list[RouteDeclaration] = []
    owners: dict[str, str] = {}
    for service, declaration in declarations.items():
        routes: list[Json] = spec.list_of(spec.dictionary)(declaration.get("routes", []), f"{service}.routes")
        for index, one in enumerate(routes):
            place = f"{service}.routes[{index}]"
            route = cast("RouteDeclaration", PARSE(one, place))
            _refuse_misfits(route, place)
            if route["path"] in owners:
                owner = owners[route["path"]]
                raise spec.SpecError(f"{place}.path: {owner} has {route['path']} already; expected a path of its own")
            owners[route["path"]] = place
            found.append(route)
    return found


def _refuse_misfits(route: RouteDeclaration, place: str) -> None:
    path = route["path"]
    if path == "/":
        raise spec.refuse(f"{place}.path", path, "a path below it, such as /hello/: nothing but the routes is public")
    if route["strip"] and not path.endswith("/"):
        raise spec.refuse(f"{place}.path", path, "a / at its end, where strip is true")
    for key, needed in NEEDS.items():
        if route[key] and route[needed] is None:
            raise spec.SpecError(f"{place}.{needed}: required where the route has {key}, and missing")
    for key in ("streams", "publishes"):
        outside = [one for one in route[key] if not one.startswith(path)]
        if outside:
            raise spec.refuse(f"{place}.{key}", outside[0], f"a path that begins with {path}")
