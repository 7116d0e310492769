"""The API as its own documents say it."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from sse_harness import Client, Replicas

METHODS = {"get", "post"}


@pytest.fixture(scope="module")
def document(replica: Replicas) -> dict[str, Any]:
    return replica.get("/openapi.json").json


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {
        f"{method.upper()} {path}": one for path, item in document["paths"].items() for method, one in item.items()
    }
    assert found.keys() >= {"POST /api/v1/events", "GET /api/v1/stream", "GET /api/v1/stats/stream"}
    return found


def test_the_document_names_every_error_of_every_route_as_a_problem(document: dict[str, Any]) -> None:
    errors = {name: {*one["responses"]} - {"200", "202", "204"} for name, one in operations(document).items()}
    assert errors.pop("POST /api/v1/events") == {
        *("default", "400", "401", "403", "408", "413", "415", "422", "429", "503")
    }
    assert errors.pop("GET /api/v1/stream") == {"default", "400", "401", "403"}
    assert errors.pop("POST /api/v1/stream") == {"default", "400", "401", "403", "408", "413", "415", "422"}
    assert errors.pop("GET /api/v1/channels/{channel}/history") == {"default", "400", "401", "403", "503"}
    assert errors.pop("GET /api/v1/channels") == {"default", "400", "401", "503"}
    assert errors.pop("GET /api/v1/stats") == errors.pop("GET /api/v1/stats/stream") == {"default", "401", "403"}
    assert errors.pop("POST /api/v1/session") == {"default", "400", "401", "403"}
    assert errors.pop("POST /api/v1/session/end") == {"default", "403"}
    assert errors.pop("POST /api/v1/tickets") == {"default", "400", "401", "403", "408", "413", "415", "422"}
    assert errors.pop("GET /api/v1/health/ready") == {"default", "503"}
    assert set(map(frozenset, errors.values())) == {frozenset({"default"})}
    for one in operations(document).values():
        for status in {*one["responses"]} - {"200", "202", "204", "503"}:
            [(media_type, media)] = one["responses"][status]["content"].items()
            assert (media_type, media["schema"]["$ref"]) == ("application/problem+json", "#/components/schemas/Problem")


def test_the_document_gives_an_example_of_every_body_and_parameter(document: dict[str, Any]) -> None:
    def shown(media: dict[str, Any]) -> bool:
        reference = media["schema"].get("$ref", "").rpartition("/")[2]
        return "example" in media or "examples" in media or "examples" in document["components"]["schemas"][reference]

    for name, one in operations(document).items():
        if name in ("GET /api/v1/", "GET /api/v1/stats"):  # they are their own examples
            continue
        bodies = [one["requestBody"]] if "requestBody" in one else []
        for content in (*bodies, *(answer for status, answer in one["responses"].items() if status != "default")):
            assert all(shown(media) for media in content.get("content", {}).values()), name
        for parameter in one.get("parameters", ()):
            said = parameter | parameter["schema"]
            assert said.keys() & {"example", "examples", "default"}, (name, parameter["name"])


def test_the_documented_examples_are_what_the_service_takes_and_gives(
    replica: Replicas, document: dict[str, Any]
) -> None:
    body = document["paths"]["/api/v1/events"]["post"]["requestBody"]["content"]["application/json"]
    for example in body["examples"].values():
        assert replica.post(example["value"]).status == 202
    refused = document["paths"]["/api/v1/events"]["post"]["responses"]["422"]["content"]["application/problem+json"]
    said = replica.post({"channel": "orders"}).json
    assert said.pop("request_id")  # another one each time
    assert said == refused["example"]


def test_operation_ids_are_one_word_each_and_unique(document: dict[str, Any]) -> None:
    ids = [one["operationId"] for one in operations(document).values()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+", id_) for id_ in ids)


def test_the_documentation_page_shows_every_route_and_loads_nothing(
    replica: Replicas, document: dict[str, Any]
) -> None:
    answer = replica.get("/docs")
    page = answer.body.decode()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"<(script|link|img|iframe)|https?://|url\(|@import", page)
    assert all(f"<code>{name}</code>" in page for name in operations(document))
    assert "&lt;" not in replica.get("/openapi.json").body.decode()


def test_the_root_of_the_api_says_where_to_go_with_and_without_its_slash(replica: Replicas) -> None:
    index = replica.get("/api/v1/").json
    assert replica.get("/api/v1").json == index
    for way in index.values():
        path = way.split()[1].replace("NAME", "a").partition("?")[0]
        if not path.endswith("/stream"):
            assert replica.get(path).status in (200, 405), path


@pytest.mark.parametrize(
    ("path", "status"), [("/api/v1/events/", 404), ("/api/v1/channels/", 404), ("/docs/", 404), ("/redoc", 404)]
)
def test_no_answer_sends_a_client_to_a_host_that_it_made_up(replica: Replicas, path: str, status: int) -> None:
    with Client(replica.port) as client:
        client.send(f"GET {path} HTTP/1.1\nHost: evil.example")
        answer = client.answer()
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert "location" not in answer.headers
    assert b"evil" not in answer.body


def test_a_preflight_request_that_is_refused_is_a_problem() -> None:
    with Replicas(cors_origins="https://a.example") as replica, Client(replica.port) as client:
        client.send(
            "OPTIONS /api/v1/events HTTP/1.1\nHost: x\nOrigin: https://b.example\nAccess-Control-Request-Method: POST"
        )
        answer = client.answer()
        assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
        assert "access-control-allow-origin" not in answer.headers


def test_a_page_that_is_allowed_may_come_from_the_internet_to_a_private_address() -> None:
    asked = "OPTIONS /api/v1/events HTTP/1.1\nHost: x\nAccess-Control-Request-Method: POST\n"
    asked += "Access-Control-Request-Private-Network: true\nOrigin: https://"
    with Replicas(cors_origins="https://a.example") as replica, Client(replica.port) as client:
        for page, status, said in (
            ("a.example", 200, "true"),
            ("a.example.org", 400, None),
            ("b.a.example", 400, None),
        ):
            client.send(asked + page)
            answer = client.answer()
            assert (answer.status, answer.headers.get("access-control-allow-private-network")) == (status, said)


def test_the_log_shows_the_beginning_of_a_long_address(replica: Replicas, caplog: pytest.LogCaptureFixture) -> None:
    """Else a few thousand requests would leave nothing else in a log of 30 MB."""
    with caplog.at_level(logging.INFO):
        assert replica.get(f"/{'a' * 5000}").status == 404
    [line] = [one.getMessage() for one in caplog.records if "aaa" in one.getMessage()]
    assert line.startswith("404 to GET /aaa")
    assert len(line) < 400
