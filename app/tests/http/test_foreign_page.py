from __future__ import annotations

import pytest
from sse_harness import Answer, Replicas

JSON = {"content_type": "application/json"}


def publish(replica: Replicas, **headers: str) -> Answer:
    return replica.post({"channel": "foreign", "data": 1}, 0, **headers)


@pytest.mark.parametrize(
    "type_",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonp"],
)
def test_what_a_form_of_any_page_can_send_is_no_publish(replica: Replicas, type_: str) -> None:
    answer = publish(replica, content_type=type_)
    assert (answer.status, answer.headers["content-type"]) == (415, "application/problem+json")
    assert "expected application/json" in answer.json["detail"]


def test_json_is_taken_with_parameters_and_in_any_case(replica: Replicas) -> None:
    assert publish(replica, content_type="Application/JSON; charset=utf-8").status == 202


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "cross-site", "origin": "https://evil.example"},
        {"sec_fetch_site": "same-site", "origin": "http://127.0.0.2:3000"},
        {"sec_fetch_site": "same-site"},  # another port of this host
        {"sec_fetch_site": "same-site", "origin": "http://127.0.0.1", "host": "127.0.0.1"},
        {"sec_fetch_site": "unheard-of"},
        {"origin": "http://127.0.0.1:3801"},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://127.0.0.1", "host": "127.0.0.1:443"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "http://[::1"},
    ],
)
def test_the_page_of_somebody_else_does_not_publish(replica: Replicas, headers: dict[str, str]) -> None:
    answer = publish(replica, **JSON, **headers)
    assert answer.status == 403, answer
    assert "another origin" in answer.json["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "same-origin", "origin": "http://dashboard.test"},
        {"origin": "http://127.0.0.1:3001", "host": "127.0.0.1"},  # a proxy has left the port out of Host
        {"origin": "http://127.0.0.1:880", "host": "127.0.0.1:880"},
        {"origin": "https://sse.example", "host": "sse.example:443"},
    ],
)
def test_a_program_and_an_own_page_do(replica: Replicas, headers: dict[str, str]) -> None:
    assert publish(replica, **JSON, **headers).status == 202


def test_a_page_that_the_settings_name_does() -> None:
    with Replicas(cors_origins="https://a.example,https://b.example") as replica:
        cross = {"sec_fetch_site": "cross-site", **JSON}
        assert publish(replica, origin="https://b.example", **cross).status == 202
        assert publish(replica, origin="https://b.example", **{**cross, "sec_fetch_site": "same-site"}).status == 202
        assert publish(replica, origin="https://c.example", **cross).status == 403
