"""What a service may declare as a route."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import route, spec

GOOD: dict[str, Any] = {"path": "/hello/", "containers": ["hello"], "port": 8090}


def test_a_route_of_three_keys_is_whole() -> None:
    (parsed,) = route.parse_all({"hello": {"routes": [GOOD]}, "other": {}})
    assert parsed["path"] == "/hello/"
    assert (parsed["strip"], parsed["streams"], parsed["sockets"]) == (False, [], {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stripp": True}, "hello.routes[0].stripp: unknown key; known keys are containers"),
        ({"port": None}, "hello.routes[0].port: required"),
        ({"port": "8090"}, "hello.routes[0].port"),
        ({"path": "hello/"}, "such as /hello/"),
        ({"path": "/a b/"}, "such as /hello/"),
        ({"path": "/x; return 200;"}, "such as /hello/"),
        ({"path": "/"}, "nothing but the routes is public"),
        ({"path": "/hello", "strip": True}, "a / at its end"),
        ({"streams": ["/hello/stream"]}, "hello.routes[0].heartbeat_seconds: required where the route has streams"),
        ({"publishes": ["/hello/x"]}, "publish_seconds: required"),
        ({"streams": ["/other"], "heartbeat_seconds": 5}, "begins with /hello/"),
    ],
)
def test_a_route_that_nginx_could_not_use_is_refused_by_its_place(change: dict[str, Any], said: str) -> None:
    one = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(spec.SpecError) as refused:
        route.parse_all({"hello": {"routes": [one]}})
    assert said in str(refused.value)


def test_two_routes_of_one_path_are_refused() -> None:
    with pytest.raises(spec.SpecError) as refused:
        route.parse_all({"hello": {"routes": [GOOD]}, "other": {"routes": [GOOD]}})
    assert str(refused.value) == (
        "other.routes[0].path: hello.routes[0] has /hello/ already; expected a path of its own"
    )
