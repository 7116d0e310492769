"""The data of a channel is as its schema says, or the publisher is told where it is not and nothing is stored."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sse_harness import APP, Process, Replicas, fetch

from sse_app.access import schemas as module
from sse_app.access.schemas import Schemas
from sse_app.base import account
from sse_app.base.event import Event
from sse_app.base.metrics import Metrics
from sse_app.base.problem import Problem
from sse_app.base.settings import ConfigurationError

ORDER = {
    "type": "object",
    "required": ["n"],
    "properties": {"n": {"type": "integer"}, "a/b~c": {"type": "array", "items": {"$ref": "#/$defs/price"}}},
    "$defs": {"price": {"type": "number", "minimum": 0}},
}


def directory(tmp_path: Path, **files: Any) -> str:
    for name, document in files.items():
        text = document if isinstance(document, str) else json.dumps(document)
        (tmp_path / f"{name}.json").write_text(text)
    return str(tmp_path)


def test_a_violation_is_a_problem_that_points_to_the_place_and_stores_nothing(tmp_path: Path) -> None:
    schemas = directory(tmp_path, orders={"orders": ORDER}, closed={"closed.*": False})
    with Replicas(schemas_dir=schemas) as replica:
        end = replica.service.hub.ring.end
        for data, pointer in [
            ({}, "/data"),
            ({"n": "1"}, "/data/n"),
            ({"n": 1, "a/b~c": [1, -1]}, "/data/a~1b~0c/1"),
            ("text", "/data"),
            (None, "/data"),
        ]:
            events = [{"channel": "orders", "data": {"n": 1}}, {"channel": "orders", "data": data}]
            answer = replica.post(events)
            assert answer.status == 422
            [error] = answer.json["errors"]
            assert (error["field"], error["pointer"]) == ("1.data", pointer)
            assert error["detail"] in answer.json["detail"]
        assert replica.post({"channel": "closed.door", "data": 1}).status == 422
        assert replica.post({"channel": "orders", "data": {"n": "x" * 10_000}}).json["detail"].__len__() < 400
        assert replica.service.hub.ring.end == end
        assert replica.service.metrics.publishes["invalid"] == 7
        assert replica.post({"channel": "orders", "data": {"n": 1, "a/b~c": [0.5]}}).status == 202
        assert replica.post({"channel": "elsewhere", "data": "anything"}).status == 202


async def test_the_most_specific_pattern_decides_alone(tmp_path: Path) -> None:
    def only(value: str) -> dict[str, Any]:
        return {"const": value}

    schemas = Schemas(
        directory(
            tmp_path, all={"*": only("*"), "a.*": only("a.*")}, more={"a.b.*": only("a.b.*"), "a.b.c": only("a.b.c")}
        )
    )
    for channel, pattern in {
        "x": "*",
        "a": "*",
        "a.x": "a.*",
        "a.b": "a.*",
        "a.b.x": "a.b.*",
        "a.b.c": "a.b.c",
    }.items():
        await schemas.check([Event(channel=channel, data=pattern)])
        with pytest.raises(Problem):
            await schemas.check([Event(channel=channel, data="other")])


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "bad.json: Expecting"),
        ("[]", "expected an object"),
        ('{"a": true, "a": true}', "a name occurs twice"),
        ({"a b": {}}, "'a b': 'a b' is not a channel"),
        ({"a.*.b": {}}, "is not a channel"),
        ({"a": 1}, "'a': the schema: 1 is not of type 'object', 'boolean'"),
        ({"a": {"type": "strin"}}, "'a': /type: 'strin' is not valid"),
        ({"a": {"properties": {"n": {"pattern": "("}}}}, "/properties/n/pattern: '(' is not a 'regex'"),
        ({"a": {"$ref": "https://example.org/schema.json"}}, "nothing is fetched"),
        ({"a": {"items": {"$ref": "file:///etc/passwd"}}}, "nothing is fetched"),
        ({"a": {"$ref": "#/$defs/absent"}}, "'/$defs/absent' is not in this schema"),
        ({"a": {"$ref": "#/x", "x": {"$ref": "other.json"}}}, "'other.json' is not in this schema"),
        (
            {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}},
            "$schema: expected https://json-schema.org/draft/2020-12/schema",
        ),
        ({"a": {"$ref": "#"}}, "without end"),
    ],
)
def test_a_bad_schema_stops_the_start_with_one_line_that_names_the_place(
    tmp_path: Path, document: Any, said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Schemas(directory(tmp_path, bad=document))
    assert said in str(refused.value)
    assert str(refused.value).startswith("SSE_SCHEMAS_DIR: bad.json: ")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600


def test_the_process_says_so_and_ends_with_status_2(tmp_path: Path) -> None:
    for directory_, said in [
        (directory(tmp_path, a={"a": {"type": 1}}), "SSE_SCHEMAS_DIR: a.json: 'a': /type: "),
        ("/nowhere/at/all", "SSE_SCHEMAS_DIR='/nowhere/at/all': expected a directory"),
    ]:
        environment = {**os.environ, "SSE_PORT": "0", "SSE_SCHEMAS_DIR": directory_}
        ended = subprocess.run(
            [sys.executable, "-m", "sse_app"], cwd=APP, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 2
        assert ended.stderr.splitlines()[-1].startswith(f"sse_app: {said}")


def test_two_files_with_a_schema_for_one_pattern_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="another file"):
        Schemas(directory(tmp_path, a={"x.*": {}}, b={"x.*": {}}))


async def test_a_pattern_that_takes_for_ever_is_cut_off(tmp_path: Path) -> None:
    schemas = Schemas(directory(tmp_path, a={"a": {"pattern": "^(a+)+$"}}))
    await schemas.check([Event(channel="a", data="aaa")])
    begun = time.process_time()
    with pytest.raises(Problem, match=r"took more than 0\.05 s"):
        await schemas.check([Event(channel="a", data="a" * 60 + "b")])
    assert time.process_time() - begun < 5  # it would be years
    await schemas.check([Event(channel="a", data="aaa")])


def test_the_process_goes_on_after_it_has_cut_off_a_check(tmp_path: Path) -> None:
    """In the thread and under the loop that the service really runs with."""
    process = Process(SSE_SCHEMAS_DIR=directory(tmp_path, a={"a": {"pattern": "^(a+)+$"}}))
    try:
        url = f"http://127.0.0.1:{process.port}/api/v1/events"
        for data, status in [("aaa", 202), ("a" * 60 + "b", 422), ("aaa", 202)]:
            assert fetch(url, json.dumps({"channel": "a", "data": data}).encode()).status == status
    finally:
        process.process.kill()
        process.process.communicate()


class Work:
    """Processor time: each check takes `seconds` of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = self.taken = 0.0
        monkeypatch.setattr(module, "thread_time", lambda: self.taken)
        monkeypatch.setattr(module, "_violation", self._check)
        monkeypatch.setattr(module, "_WAIT_SECONDS", 0.05)

    def _check(self, *_: object) -> None:
        self.taken += self.seconds


async def test_one_address_takes_no_more_than_its_share_for_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each check stays below its own bound, and a body may bring 500 events: they took all time of a replica."""
    metrics, work = Metrics(), Work(monkeypatch)
    schemas = Schemas(directory(tmp_path, a={"a": {"uniqueItems": True}}), 0.1, metrics)
    work.seconds = 0.04
    with pytest.raises(Problem, match="more than its share") as refused:
        await schemas.check([Event(channel="a", data=[])] * 60, "198.51.100.1")
    assert (refused.value.status, metrics.limited["time"]) == (429, 1)
    assert int(refused.value.headers["retry-after"]) >= 1
    assert work.taken < 0.1  # the rest was not begun
    await schemas.check(
        [Event(channel="elsewhere", data=[])] * 500, "198.51.100.1"
    )  # without a schema, without a check
    await schemas.check([Event(channel="a", data=[])], "198.51.100.2")


async def test_many_bodies_of_one_address_do_not_wait_for_their_checks_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(monkeypatch)
    schemas = Schemas(directory(tmp_path, a={"a": True}), 0.1)
    work.seconds = 0.04
    event = [Event(channel="a", data=1)]
    ended = await asyncio.gather(*(schemas.check(event * 9, "198.51.100.1") for _ in range(60)), return_exceptions=True)
    assert all(isinstance(one, Problem) and one.status == 429 for one in ended)
    assert work.taken < 0.2
    assert [one.waiting for one in schemas._accounts.values()] == [0]


@pytest.mark.parametrize(
    ("seconds", "tokens", "part"),
    [
        (0.0002, 0, 0.1),  # as an honest check takes
        (0.01, 20_000, 0.1),  # of large data, which the rate pays for
        (0.04, 0, 0),  # no share is set
    ],
)
async def test_what_the_rate_pays_for_never_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, tokens: int, part: float
) -> None:
    work = Work(monkeypatch)
    schemas = Schemas(directory(tmp_path, a={"a": True}), part)
    work.seconds = seconds
    for _ in range(3):
        await schemas.check([Event(channel="a", data=1)] * 500, "198.51.100.1", tokens)
    assert work.taken == pytest.approx(1500 * seconds)


async def test_the_memory_of_addresses_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "_ADDRESSES", 10)
    schemas = Schemas(directory(tmp_path, a={"a": True}), 0.1)
    for number in range(50):
        await schemas.check([Event(channel="a", data=1)], f"198.51.100.{number}")
    assert len(schemas._accounts) == 10


def test_a_replica_counts_checks_by_address_and_by_what_was_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, str, int]] = []

    async def check(self: Schemas, events: Any, address: str, tokens: int) -> None:
        seen.append((self._part, address, tokens))

    monkeypatch.setattr(Schemas, "check", check)
    with Replicas(
        schemas_dir=directory(tmp_path, a={"a": True}),
        trusted_proxies="127.0.0.1",
        time_percent_per_address=10,
        publish_rate=100,
    ) as replica:
        headers: dict[str, Any] = {"X-Forwarded-For": "198.51.100.7"}
        assert replica.post({"channel": "a", "data": "x" * 5000}, **headers).status == 202
    assert seen == [(0.1, "198.51.100.7", 5)]


async def test_data_nested_too_deeply_for_a_recursive_schema_is_refused(tmp_path: Path) -> None:
    schemas = Schemas(directory(tmp_path, a={"a": {"items": {"$ref": "#"}}}))
    data: list[Any] = []
    for _ in range(900):
        data = [data]
    with pytest.raises(Problem, match="nested too deeply"):
        await schemas.check([Event(channel="a", data=data)])


@pytest.mark.parametrize("data", [10**400, -(10**400), float("inf"), float("-inf")])
async def test_a_number_that_no_float_can_hold_is_refused(tmp_path: Path, data: Any) -> None:
    schemas = Schemas(directory(tmp_path, a={"a": {"multipleOf": 0.01}}))
    with pytest.raises(Problem, match="too large for its schema"):
        await schemas.check([Event(channel="a", data=data)])


def test_without_schemas_the_library_is_not_loaded() -> None:
    code = "import sys, sse_app.server; assert not {'jsonschema', 'referencing'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=APP, check=True)
