"""The arithmetic of bench/platform.py: what its figures mean."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import load
import platform_bench
import platform_load
import platform_report
import platform_ways
import pytest
import report
import usage
from measurements import Deployment, PlatformResult, Rest, Sample, Usage

BENCH = Path(platform_bench.__file__).parent
WITH_SPANS = platform_ways.LAYERS["spans of each publish"]


def used(**containers: float) -> Usage:
    by_name = {name.replace("_", "-"): us for name, us in containers.items()}
    return {"containers": by_name, "processes": {}, "engine": 0.0, "machine": 0.0, "client": 0.0}


def sample(**given: Any) -> Sample:
    found: dict[str, Any] = {**platform_load.NOTHING, "seconds": 5.0, "events": 1000, "rate": 200.0, **given}
    return found  # pyright: ignore[reportReturnType]


def deployment(replicas: int = 3, link: str = "tcp", rest: Rest | None = None, **samples: list[Sample]) -> Deployment:
    named = {name.replace("_", "-"): found for name, found in samples.items()}
    return {"replicas": replicas, "link": link, "samples": named, "rest": rest, "up_seconds": []}


def result(**deployments: Deployment) -> PlatformResult:
    machine: Any = {"cpu": "a CPU", "cores": 2, "memory_gb": 24, "kernel": "6.1", "system": "Debian", "commit": "abc"}
    return {"machine": machine, "rounds": 1, "minutes": 1.0, "layers": False, "deployments": deployments}


def test_an_event_costs_what_all_containers_used_and_each_container_belongs_to_one_part() -> None:
    one = sample(
        used=used(app_1=1e5, app_2=2e5, nginx=4e5, kafka=8e5, redis_master=16e5, nginx_exporter=1e4, apple=1e3)
    )
    assert platform_report.event_us(one) == pytest.approx(3111)
    parts = platform_report.parts(one["used"]["containers"])
    assert parts == {"replicas": 3e5, "NGINX": 4e5, "Kafka": 8e5, "Redis": 16e5, "others": 11e3}


def test_a_delivery_costs_nothing_where_nothing_is_delivered() -> None:
    assert platform_report.delivery_us(sample(used=used(nginx=1e5))) == 0.0
    assert platform_report.delivery_us(sample(used=used(nginx=1e5), deliveries=10_000)) == 10.0


def test_a_ratio_is_the_median_of_rounds_that_were_measured_together() -> None:
    tcp = [sample(used=used(nginx=us)) for us in (1e5, 2e5, 4e5)]  # the machine slows down
    socket = [sample(used=used(nginx=us)) for us in (5e4, 1e5, 4e5)]
    assert platform_report.paired(socket, tcp, platform_report.event_us) == 0.5
    assert platform_report.paired([], tcp, platform_report.event_us) == 0.0


def test_what_lies_between_two_readings_adds_up_processes_of_one_name_and_counts_new_ones_from_zero() -> None:
    before = {**used(nginx=10.0), "processes": {"nginx/nginx/7": 1.0}, "machine": 5.0}
    after = {**used(nginx=25.0), "processes": {"nginx/nginx/7": 4.0, "nginx/nginx/8": 2.0}, "machine": 9.0}
    found = usage.since(before, after)  # pyright: ignore[reportArgumentType]
    assert found["containers"] == {"nginx": 15.0}
    assert found["processes"] == {"nginx/nginx": 5.0}
    assert found["machine"] == 4.0


def test_the_time_of_a_container_is_read_by_both_versions_of_cgroups(tmp_path: Path) -> None:
    version1, version2 = tmp_path / "cpuacct.usage", tmp_path / "cpu.stat"
    version1.write_text("1234567000\n")
    version2.write_text("usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\n")
    assert usage.read_counter(version1) == usage.read_counter(version2) == 1234567


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("4:memory:/a\n2:cpu,cpuacct:/docker/b\n0::/c\n", "/docker/b"),
        ("0::/system.slice/docker-b.scope\n", "/system.slice/docker-b.scope"),
    ],
)
def test_a_process_is_at_home_where_its_processor_time_is_counted(text: str, place: str) -> None:
    assert usage.home(text) == place


def test_a_machine_is_busy_with_what_is_neither_idle_nor_another_guests() -> None:
    stat = "cpu  100 10 50 9000 500 4 6 777 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
    assert usage.busy_us(stat) == (100 + 10 + 50 + 4 + 6) * usage.TICK_US


def test_a_stack_at_rest_is_a_share_of_one_core_with_its_health_checks_apart() -> None:
    rest: Rest = {
        "seconds": 60.0,
        "used": {**used(kafka=6e5), "engine": 3e5, "machine": 2.5e6, "client": 1e5},
        "checks_a_minute": 14.0,
        "check_ms": 60.0,
    }
    table = platform_report.rest_table(rest)
    assert "| kafka | 1.00% |" in table
    assert "| **whole machine** | **4.00%** |" in table
    assert "14 programs a minute, 60 ms each | 1.40% |" in table
    (goal,) = platform_report.goals(result(base=deployment(rest=rest)))
    assert (goal.measured, goal.met) == ("4.0 %", True)


def test_goals_stand_beside_the_medians_and_say_what_was_missed() -> None:
    slow = [sample(rate=864.0, p99_ms=510.0, used=used(app_1=1.7e6))]
    posts, fewer = [sample(rate=3000.0)], [sample(rate=1500.0)]
    broadcast = [sample(deliveries=100_000, p99_ms=20.0, used=used(nginx=2e6))]
    beside = [sample(used=used(app_1=9e5, app_2=8e4, app_3=4e4, app_11=9e4))]  # 70 us an event each
    base = deployment(users_1000=slow, posts_16=posts, broadcast=broadcast, bystander=beside)
    found = {
        goal.what: goal.met for goal in platform_report.goals(result(base=base, six=deployment(6, posts_16=fewer)))
    }
    assert found == {
        "1,000 channels x 1 at 1,000/s: reached: at least 950/s": False,
        "the same, p99: at most 40 ms": False,
        "the same, CPU of an event: at most 700 us": False,
        "single POSTs from 16 publishers: at least 3000/s": True,
        "1,000 subscribers at 20/s, CPU of a delivery: at most 25 us": True,
        "the same, p99: at most 30 ms": True,
        "a replica with nobody on it, 200/s, CPU of an event: at most 80 us": True,
        "single POSTs, six, of the rate of the first: at least 0.9 x": False,
    }


def test_what_a_machine_carries_follows_from_its_cores_and_what_an_event_costs() -> None:
    one = [sample(used=used(app_1=1e6))]  # 1,000 us an event
    assert [platform_report.carried(one, cores) for cores in (2, 4)] == pytest.approx([1400, 2800])


@pytest.mark.parametrize(("machine", "disturbed"), [(6e6, False), (9e6, True)])
def test_a_machine_that_others_used_meanwhile_is_said_to_be_disturbed(machine: float, disturbed: bool) -> None:
    one = sample(used={**used(app_1=3e6, kafka=1e6), "engine": 5e5, "client": 1e6, "machine": machine})
    line = platform_report.machine_line(result(base=deployment(users_200=[one])))
    assert ("Others used 0.7 of the cores" in line.replace("\n", " ")) == disturbed


def test_each_table_lands_between_its_markers() -> None:
    done = result(base=deployment(users_200=[sample(p99_ms=9.0, used=used(nginx=1e5))]))
    page = "<!-- platform:shapes -->\nold\n<!-- /platform:shapes -->\nkept"
    filled = report.put("platform", platform_report.sections(done), page)
    assert "old" not in filled
    assert filled.endswith("<!-- /platform:shapes -->\nkept")
    assert "users-200" in filled


def test_each_event_is_for_one_channel_and_every_channel_has_as_many() -> None:
    shape = platform_bench.SHAPES[platform_bench.NAMES.index("channels")]
    names = [platform_load.channel(number, shape) for number in range(1000)]
    assert {names.count(name) for name in names} == {10}


def test_programs_beside_it_still_import_the_module_platform_of_python() -> None:
    asked = "import sys; sys.path.insert(0, sys.argv[1]); import platform; print(platform.system())"
    done = subprocess.run([sys.executable, "-c", asked, str(BENCH)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Linux"


def test_a_shape_that_nobody_knows_is_refused_by_name() -> None:
    command = [sys.executable, str(BENCH / "platform.py"), "--only", "posts", "strom"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--only strom: expected one of users-200" in done.stderr


def test_what_may_be_added_is_compared_with_the_platform_as_it_is_round_by_round() -> None:
    base = [sample(used=used(app_1=us, nginx=us), p50_ms=4.0) for us in (1e5, 4e5)]  # the machine slows down
    more = [sample(used=used(app_1=3 * us, nginx=us), p50_ms=6.0, rate=100.0) for us in (1e5, 4e5)]
    deployments: Any = {"as it is": deployment(users_1000=base), "TLS": deployment(users_1000=more)}
    parts = platform_report.sections({**result(**deployments), "layers": True})
    assert parts["layers"].splitlines()[-1] == "| TLS | users-1000 | 2.00 x | 1.00 x | 3.00 x | 1.50 x | 0.50 x |"
    assert set(parts) == {"layers", "layers_machine"}  # the tables of another run stay


def test_each_thing_that_may_be_added_is_asked_of_up_and_of_the_client(tmp_path: Path) -> None:
    asked: dict[str, platform_ways.Client] = {}
    for name, way in platform_ways.LAYERS.items():
        if not way.spans:  # whose collector must hear of a span
            with platform_ways.client(way, "") as one:
                asked[name] = one
    [*plain] = asked["as it is"].given
    assert [asked[name].tls for name in asked] == [False, True, False, False]
    assert asked["authorization by keys"].headers.startswith("Authorization: Bearer bench.")
    assert "app_auth=true" in asked["authorization by keys"].given
    schemas = json.loads(asked["a schema for each event"].given[len(plain) + 1])["app_schemas"]
    assert jsonschema_rs.Draft202012Validator(schemas["bench.*"]).is_valid(json.loads(load.payload(7, 2048)))
    with pytest.raises(SystemExit, match="no replica sent a span"), platform_ways.client(WITH_SPANS, "127.0.0.1"):
        pass
