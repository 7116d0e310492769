"""A picture shows just what the releases declare, and stays a picture whatever they hold."""

from __future__ import annotations

from typing import Any

from ansible_collections.sse.platform.plugins.module_utils.views import diagram


def container(service: str, short: str, reaches: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
    return {
        "service": service,
        "container": short,
        "aliases": [short],
        "networks": {"sse-network": f"10.0.0.{len(short)}"},
        "rolling": False,
        "ports": [],
        "reaches": [{"to": peer, "why": "test"} for peer in reaches],
        **changes,
    }


def release(**containers: dict[str, Any]) -> Any:
    return {
        "networks": {"sse-network": {"subnet": "10.0.0.0/24"}},
        "containers": {f"sse-{one['container']}": one for one in containers.values()},
    }


PORTS = [{"host_ip": "0.0.0.0", "host_port": 80, "container_port": 80}]
ADMIN = [{"host_ip": "127.0.0.1", "host_port": 6379, "container_port": 6379}]
SMALL = release(
    nginx=container("nginx", "nginx", ("app-1:8000", "app-2:8000"), ports=PORTS),
    app1=container("app", "app-1", ("redis:6379",), rolling=True),
    app2=container("app", "app-2", ("redis:6379",), rolling=True),
    redis=container("redis", "redis", ports=ADMIN),
)


def test_mermaid_shows_published_ports_networks_boxes_and_arrows() -> None:
    assert diagram.mermaid(diagram.topology([SMALL])) == (
        "flowchart LR\n"
        "  world([everybody]) -->|80| nginx\n"
        "  host([this host]) -->|6379| redis\n"
        "  subgraph net0 [sse-network, 10.0.0.0/24]\n"
        '    nginx["sse-nginx<br>10.0.0.5"]\n'
        '    app_1["sse-app-1 … sse-app-2<br>10.0.0.5 … 10.0.0.5"]\n'
        '    redis["sse-redis<br>10.0.0.5"]\n'
        "  end\n"
        "  nginx -->|8000| app_1\n"
        "  app_1 -->|6379| redis\n"
    )


def test_the_picture_of_a_cluster_says_where_everything_runs_and_shows_no_port_of_one_host() -> None:
    running = {"sse-nginx": ["one", "two"], "sse-app-1": ["one"], "sse-app-2": ["two"]}
    drawn = diagram.mermaid(diagram.in_cluster(diagram.topology([SMALL]), running))
    assert drawn == (
        "flowchart LR\n"
        "  world([everybody]) -->|80| nginx\n"
        "  subgraph net0 [sse-network, 10.0.0.0/24]\n"
        '    nginx["sse-nginx<br>on one, two"]\n'
        '    app_1["sse-app-1 … sse-app-2<br>on one, two"]\n'
        '    redis["sse-redis<br>on no host"]\n'
        "  end\n"
        "  nginx -->|8000| app_1\n"
        "  app_1 -->|6379| redis\n"
    )


def test_replicas_that_differ_are_boxes_of_their_own() -> None:
    differ = release(
        app1=container("app", "app-1", ("redis:6379",), rolling=True),
        app2=container("app", "app-2", rolling=True),
        redis=container("redis", "redis"),
    )
    assert [one.lines[0] for one in diagram.topology([differ]).boxes] == ["sse-app-1", "sse-app-2", "sse-redis"]
