"""The exporters of our own: what they say of a container and of NGINX is what the kernel and NGINX have written."""

from __future__ import annotations

import gc
import http.server
import json
import os
import shutil
import socket
import socketserver
import threading
import tracemalloc
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import exporting
import pytest
from container_metrics import KEPT_STARTS, Containers, Groups, Starts
from nginx_metrics import Requests, connections
from prometheus_client.parser import text_string_to_metric_families as parsed

ID, OTHER = "a" * 64, "b" * 64
NAMED = {"name": "sse-app-1", "container": "app-1"}


class Host:
    """Control groups as a kernel shows them, and the file of names as a run writes it."""

    def __init__(self, root: Path, unified: bool, place: str) -> None:
        self.root, self.unified, self.place = root / "cgroup", unified, place
        self.names, self.vmstat, self.boot = root / "containers.json", root / "vmstat", root / "boot_id"
        self.starts = root / "starts.json"
        self.boot.write_text("this one\n")
        self.root.mkdir()
        if unified:
            (self.root / "cgroup.controllers").write_text("cpu memory pids\n")
        self.kill(0)

    def write(self, id_: str, controller: str, **files: object) -> None:
        directory = self.root / ("" if self.unified else controller) / self.place.format(id_)
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (directory / name.replace("__", ".")).write_text(f"{content}\n")

    def run(self, id_: str = ID, kills: int = 0) -> None:
        stat = "nr_periods 40\nnr_throttled 7\n"
        if self.unified:
            self.write(id_, "cpu", cpu__stat=f"usage_usec 2500000\n{stat}throttled_usec 1500000")
            self.write(id_, "memory", memory__current=50_000_000, memory__max=67_108_864)
            self.write(id_, "memory", memory__stat="anon 1\ninactive_file 10000000", memory__events=f"oom_kill {kills}")
        else:
            self.write(id_, "cpu", cpu__stat=f"{stat}throttled_time 1500000000")
            self.write(id_, "cpuacct", cpuacct__usage=2_500_000_000)
            self.write(id_, "memory", memory__usage_in_bytes=50_000_000, memory__limit_in_bytes=67_108_864)
            self.write(
                id_,
                "memory",
                memory__stat="inactive_file 1\ntotal_inactive_file 10000000",
                memory__oom_control=f"under_oom 0\noom_kill {kills}",
            )
        self.write(id_, "pids", pids__current=9, pids__max="max")

    def end(self, id_: str = ID) -> None:
        for controller in ("",) if self.unified else ("cpu", "cpuacct", "memory", "pids"):
            shutil.rmtree(self.root / controller / self.place.format(id_))

    def begin_anew(self, id_: str = ID) -> None:
        """Restart: the new directory exists before the old one is gone, so that it has another number for certain."""
        for controller in ("",) if self.unified else ("cpu", "cpuacct", "memory", "pids"):
            old = self.root / controller / self.place.format(id_)
            old.rename(aside := old.with_name("aside"))
            self.write(id_, controller)
            shutil.rmtree(aside)
        self.run(id_)

    def kill(self, processes: int) -> None:
        self.vmstat.write_text(f"nr_free_pages 5\noom_kill {processes}\n")

    def name(self, **names: str) -> None:
        held = {id_: {"name": f"sse-{short}", "container": short, "release": "9"} for short, id_ in names.items()}
        self.names.write_text(json.dumps({"written": 1_700_000_000, "containers": {v: held[v] for v in held}}))

    def exporter(self) -> Containers:
        return Containers(self.names, Groups(self.root), self.vmstat, Starts(self.starts, self.boot))

    def forget(self, id_: str = ID) -> None:
        """Have the kernel look a group up anew: it tells the time of that as the time of the group."""
        for controller in ("",) if self.unified else ("cpu", "cpuacct", "memory", "pids"):
            os.utime(self.root / controller / self.place.format(id_), (2e9, 2e9))


@pytest.fixture(
    params=[(False, "docker/{}"), (True, "system.slice/docker-{}.scope"), (True, "tenant/deep/{}")],
    ids=["v1", "v2", "v2 elsewhere"],
)
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Host:
    return Host(tmp_path, *request.param)


def samples(exporter: Any) -> dict[tuple[str, str], float]:
    text = "".join(f"{line}\n" for line in exporter.collect())
    return {(one.name, one.labels.get("name", "")): one.value for family in parsed(text) for one in family.samples}


def test_a_container_has_the_figures_of_its_control_group_under_its_name(host: Host) -> None:
    host.run()
    host.name(**{"app-1": ID})
    found = samples(host.exporter())
    started = found.pop(("container_start_time_seconds", "sse-app-1"))
    assert started > 1.7e9
    assert found == {
        ("container_cpu_usage_seconds_total", "sse-app-1"): 2.5,
        ("container_cpu_cfs_periods_total", "sse-app-1"): 40,
        ("container_cpu_cfs_throttled_periods_total", "sse-app-1"): 7,
        ("container_cpu_cfs_throttled_seconds_total", "sse-app-1"): 1.5,
        ("container_memory_usage_bytes", "sse-app-1"): 50_000_000,
        ("container_memory_working_set_bytes", "sse-app-1"): 40_000_000,
        ("container_spec_memory_limit_bytes", "sse-app-1"): 67_108_864,
        ("container_threads", "sse-app-1"): 9,
        ("container_threads_max", "sse-app-1"): 0,
        ("container_oom_events_total", "sse-app-1"): 0,
        ("sse_container_up", "sse-app-1"): 1,
        ("sse_container_release", "sse-app-1"): 9,
        ("sse_containers_map_timestamp_seconds", ""): 1_700_000_000,
    }


@pytest.mark.parametrize("missing", ["memory", "pids"])
def test_a_kernel_without_a_controller_does_not_make_a_running_container_one_that_is_down(
    host: Host, missing: str
) -> None:
    host.run()
    if host.unified:
        for file in (host.root / host.place.format(ID)).glob(f"{missing}.*"):
            file.unlink()
    else:
        shutil.rmtree(host.root / missing)
    host.name(**{"app-1": ID})
    found = samples(host.exporter())
    assert found["sse_container_up", "sse-app-1"] == 1
    assert found["container_cpu_usage_seconds_total", "sse-app-1"] == 2.5


def test_no_limit_of_memory_is_zero(host: Host) -> None:
    host.run()
    limits = {"memory__max": "max"} if host.unified else {"memory__limit_in_bytes": 2**63 - 4096}
    host.write(ID, "memory", **limits)
    host.name(**{"app-1": ID})
    assert samples(host.exporter())["container_spec_memory_limit_bytes", "sse-app-1"] == 0


def test_a_file_of_names_that_is_too_old_lacks_a_name_and_gives_no_wrong_one(host: Host) -> None:
    host.run(OTHER)  # the container of that name was made anew since
    host.name(**{"app-1": ID})
    found = samples(host.exporter())
    assert found["sse_container_up", "sse-app-1"] == 0
    assert ("container_cpu_usage_seconds_total", "sse-app-1") not in found


@pytest.mark.parametrize("release", [None, "", "two"])
def test_a_run_that_names_no_release_leaves_the_other_figures(host: Host, release: str | None) -> None:
    host.run()
    named = {"name": "sse-app-1", "container": "app-1", **({} if release is None else {"release": release})}
    host.names.write_text(json.dumps({"written": 1, "containers": {ID: named}}))
    found = samples(host.exporter())
    assert found["sse_container_up", "sse-app-1"] == 1
    assert ("sse_container_release", "sse-app-1") not in found


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"written": 1, "containers": {"x": 1}}', '{"contain'])
def test_without_readable_names_there_are_no_containers_and_no_failure(host: Host, content: str | None) -> None:
    if content is not None:
        host.names.write_text(content)
    assert samples(host.exporter()) == {}


def test_a_restart_changes_the_time_of_the_start_and_nothing_else_does(host: Host) -> None:
    host.run()
    host.name(**{"app-1": ID})
    exporter = host.exporter()
    key = ("container_start_time_seconds", "sse-app-1")
    first = samples(exporter)[key]
    host.run()
    assert samples(exporter)[key] == first
    host.begin_anew()
    assert samples(exporter)[key] != first


def test_a_restart_of_the_exporter_changes_no_time_of_a_start(host: Host) -> None:
    host.run()
    host.name(**{"app-1": ID})
    key = ("container_start_time_seconds", "sse-app-1")
    first = samples(host.exporter())[key]
    host.forget()
    exporter = host.exporter()
    assert samples(exporter)[key] == first
    host.begin_anew()  # a start between two looks is told by either exporter
    assert samples(exporter)[key] == samples(host.exporter())[key] != first


def test_after_a_start_of_the_host_the_numbers_of_groups_mean_others(host: Host) -> None:
    host.run()
    host.name(**{"app-1": ID})
    samples(host.exporter())
    host.boot.write_text("the next one\n")
    host.forget()
    assert samples(host.exporter())["container_start_time_seconds", "sse-app-1"] == 2e9


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"boot": "this one", "starts": {"x": 1}}', '{"boot'])
def test_starts_that_cannot_be_read_are_written_anew(host: Host, content: str) -> None:
    host.run()
    host.name(**{"app-1": ID})
    host.starts.write_text(content)
    first = samples(host.exporter())
    host.forget()
    assert samples(host.exporter()) == first


def test_starts_that_cannot_be_written_end_no_answer(host: Host) -> None:
    host.run()
    host.name(**{"app-1": ID})
    host.starts.with_suffix(".new").mkdir()
    exporter = host.exporter()
    first = samples(exporter)
    host.forget()
    assert samples(exporter) == first


def test_no_more_starts_are_kept_than_a_host_has_containers(host: Host) -> None:
    host.starts.write_text(json.dumps({"boot": "this one", "starts": dict.fromkeys(range(KEPT_STARTS), 1.0)}))
    host.run()
    host.name(**{"app-1": ID})
    exporter = host.exporter()
    samples(exporter)
    assert len(exporter.starts.known) == KEPT_STARTS
    assert next(iter(exporter.starts.known)) == 1


def test_a_kill_that_the_container_survives_is_counted(host: Host) -> None:
    host.run(kills=3)
    host.name(**{"app-1": ID})
    exporter = host.exporter()
    key = ("container_oom_events_total", "sse-app-1")
    assert samples(exporter)[key] == 0  # those before this exporter ran are not news
    host.run(kills=5)
    host.kill(2)
    assert samples(exporter)[key] == 2
    assert samples(exporter)[key] == 2


@pytest.mark.parametrize("late", [False, True])
def test_a_kill_that_ends_the_container_is_counted_although_its_group_is_gone(host: Host, late: bool) -> None:
    host.run()
    host.run(OTHER)
    host.name(**{"app-1": ID, "app-2": OTHER})
    exporter = host.exporter()
    samples(exporter)
    host.kill(1)
    if late:
        samples(exporter)  # the kernel has counted, and the engine has not cleared yet
    host.begin_anew()
    found = samples(exporter)
    assert found["container_oom_events_total", "sse-app-1"] == 1
    assert found["container_oom_events_total", "sse-app-2"] == 0


def test_a_kill_elsewhere_on_the_host_is_no_container_s(host: Host) -> None:
    host.run()
    host.run(OTHER)
    host.name(**{"app-1": ID, "app-2": OTHER})
    exporter = host.exporter()
    samples(exporter)
    host.kill(1)
    for _ in range(3):
        assert samples(exporter)["container_oom_events_total", "sse-app-1"] == 0
    host.begin_anew()  # long after that, and not for its memory
    assert samples(exporter)["container_oom_events_total", "sse-app-1"] == 0


def test_two_that_end_at_once_leave_a_kill_without_a_name(host: Host) -> None:
    host.run()
    host.run(OTHER)
    host.name(**{"app-1": ID, "app-2": OTHER})
    exporter = host.exporter()
    samples(exporter)
    host.kill(1)
    host.end(ID)
    host.end(OTHER)
    found = samples(exporter)
    assert found["container_oom_events_total", "sse-app-1"] == found["container_oom_events_total", "sse-app-2"] == 0
    assert found["sse_container_up", "sse-app-1"] == found["sse_container_up", "sse-app-2"] == 0


# --- NGINX

LINES = """\
r:/api/v1/events 202 0.003 202
r:/api/v1/events 202 0.003 202
r:/api/v1/events 202 0.030 502, 202
r:/api/v1/events 429 0.000 429
r:/api/v1/events 429 0.000 -
r:/api/v1/events 413 0.000 -
r:/api/v1/events 503 0.250 502, 504
s:/api/v1/stream 200 7200.123 200
s:/api/v1/stream 200 0.001 503
r:other 404 0.000 -
"""


def answers(requests: Requests) -> dict[tuple[str, str, str], int]:
    list(requests.collect())
    return {key: count for key, count in requests.answers.items() if count}


def test_answers_are_counted_by_route_and_status_and_by_who_made_them(tmp_path: Path) -> None:
    requests = Requests(file := tmp_path / "requests.log")
    file.write_text(LINES)
    assert answers(requests) == {
        ("/api/v1/events", "202", "upstream"): 3,
        ("/api/v1/events", "429", "upstream"): 1,
        ("/api/v1/events", "429", "nginx"): 1,
        ("/api/v1/events", "413", "nginx"): 1,
        ("/api/v1/events", "503", "nginx"): 1,
        ("/api/v1/stream", "200", "upstream"): 1,
        ("/api/v1/stream", "200", "nginx"): 1,
        ("other", "404", "nginx"): 1,
    }


def test_a_stream_that_lasted_two_hours_is_no_slow_request(tmp_path: Path) -> None:
    requests = Requests(file := tmp_path / "requests.log")
    file.write_text(LINES)
    [family] = [one for one in parsed("\n".join([*requests.collect(), ""])) if one.type == "histogram"]
    found = {
        (one.labels["route"], one.labels["status"], one.labels.get("le", one.name.rpartition("_")[2])): one.value
        for one in family.samples
    }
    assert {route for route, _, _ in found} == {"/api/v1/events", "other"}
    publish = {key[2]: value for key, value in found.items() if key[:2] == ("/api/v1/events", "2xx")}
    assert publish["0.002"] == 0
    assert publish["0.005"] == publish["0.02"] == 2
    assert publish["0.05"] == publish["+Inf"] == publish["count"] == 3
    assert publish["sum"] == pytest.approx(0.036)


def test_what_nginx_refuses_is_there_as_zero_from_the_first_line_of_a_route(tmp_path: Path) -> None:
    requests = Requests(file := tmp_path / "requests.log")
    file.write_text("r:/api/v1/events 202 0.003 202\n")
    list(requests.collect())
    assert {key[1] for key, count in requests.answers.items() if not count and key[0] == "/api/v1/events"} == {
        *("413", "429", "503")
    }


def test_an_exporter_that_has_seen_no_request_has_every_metric(tmp_path: Path) -> None:
    """The proof of a run asks for the names, and may come before the first line."""
    text = "\n".join(Requests(tmp_path / "requests.log").collect())
    assert 'nginx_http_request_duration_seconds_count{route="other",status="2xx"} 0' in text
    assert 'nginx_http_responses_total{route="other",status="503",by="nginx"} 0' in text


def test_a_line_that_is_half_written_is_counted_when_it_is_whole(tmp_path: Path) -> None:
    requests = Requests(file := tmp_path / "requests.log")
    file.write_text("r:other 404 0.000 \nr:oth")
    assert answers(requests) == {("other", "404", "nginx"): 1}
    with file.open("a") as stream:
        stream.write("er 404 0.000 \n")
    assert answers(requests) == {("other", "404", "nginx"): 2}
    assert requests.strange == 0


def test_the_file_is_emptied_when_it_is_long_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    file = tmp_path / "requests.log"
    file.write_text("r:other 404 0.000 \n")  # the exporter before this one has counted it
    requests = Requests(file)
    assert answers(requests) == {}
    line = "r:other 404 0.000 \n"
    with file.open("a") as nginx:
        nginx.write(line * 100_000)
        nginx.flush()
        assert answers(requests) == {("other", "404", "nginx"): 100_000}
        assert file.stat().st_size == 0
        nginx.write(line)
    assert answers(requests) == {("other", "404", "nginx"): 100_001}


def test_a_missing_or_emptied_or_strange_file_is_no_failure(tmp_path: Path) -> None:
    requests = Requests(file := tmp_path / "requests.log")
    assert answers(requests) == {}
    file.write_text("r:other 404 0.000 \n" * 3)
    assert answers(requests) == {("other", "404", "nginx"): 3}
    file.write_text("what is this\n")
    assert answers(requests) == {("other", "404", "nginx"): 3}
    assert requests.strange == 1


STUB = """Active connections: 3
server accepts handled requests
 16 15 31
Reading: 0 Writing: 1 Waiting: 2
"""


@pytest.fixture
def status_page() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/stub_status" else 403)
            self.end_headers()
            self.wfile.write(STUB.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the library
            """Write nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_the_exporter_serves_what_stub_status_says_under_the_names_of_nginx_own_exporter(status_page: str) -> None:
    found = {line.split()[0]: line.split()[1] for line in connections(f"{status_page}/stub_status") if line[0] != "#"}
    assert found == {
        "nginx_up": "1",
        "nginx_connections_active": "3",
        "nginx_connections_reading": "0",
        "nginx_connections_writing": "1",
        "nginx_connections_waiting": "2",
        "nginx_connections_accepted": "16",
        "nginx_connections_handled": "15",
        "nginx_http_requests_total": "31",
    }


def test_an_nginx_that_refuses_or_does_not_answer_is_down_and_no_failure(
    status_page: str, unused_tcp_port: int
) -> None:
    for url in (f"{status_page}/other", f"http://127.0.0.1:{unused_tcp_port}/stub_status"):
        assert [line for line in connections(url) if line[0] != "#"] == ["nginx_up 0"]


def test_the_exporter_asks_the_nginx_of_its_own_host_through_a_socket(tmp_path: Path) -> None:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked = self.rfile.readline().split()[1]
            status = b"200 OK" if asked == b"/stub_status" else b"403 Forbidden"
            self.wfile.write(b"HTTP/1.0 " + status + b"\r\n\r\n" + STUB.encode())

    place = tmp_path / "status.sock"
    with socketserver.UnixStreamServer(str(place), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert "nginx_http_requests_total 31" in list(connections(f"unix:{place}:/stub_status"))
        server.shutdown()
    assert "nginx_up 0" in list(connections(f"unix:{place}:/stub_status"))


def test_the_memory_of_an_exporter_does_not_grow_with_its_scrapes(status_page: str, tmp_path: Path) -> None:
    """It has 64 MiB, and is asked every five seconds for months."""
    requests = Requests(file := tmp_path / "requests.log")

    def scrape() -> None:
        with file.open("a") as nginx:
            nginx.write(LINES)
        list(connections(f"{status_page}/stub_status"))
        list(requests.collect())

    gc.disable()  # what only the collector of cycles frees grows for a long time
    try:
        for _ in range(20):
            scrape()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            scrape()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()
    assert grown < 500_000


def serve(port: int, collect: Any = list) -> None:
    """Have an exporter serve, and wait until it does."""
    threading.Thread(target=exporting.serve, args=(port, collect, lambda: None), daemon=True).start()
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            threading.Event().wait(0.05)
    pytest.fail("the exporter does not answer")


def read(address: str, port: int) -> str:
    with urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=30) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_prometheus_can_read_an_answer_over_both_families_and_a_text_of_a_label_is_escaped(
    unused_tcp_port: int, address: str
) -> None:
    if address == "[::1]" and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this kernel has no IPv6")
    awkward = 'a "quoted" \\ path\nof two lines'
    lines = list(exporting.family("sse_x", "gauge", "What", [({"path": awkward}, 2**53)]))
    serve(unused_tcp_port, lambda: lines)
    [ours, took] = list(parsed(read(address, unused_tcp_port)))
    assert [(one.labels, one.value) for one in ours.samples] == [({"path": awkward}, 2**53)]
    assert took.name == "sse_exporter_collect_seconds"


def test_an_exporter_looks_up_no_name(unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On an internal network nobody answers, and a look-up takes its time-out."""
    asked: list[object] = []
    for name in ("getfqdn", "gethostbyaddr", "getnameinfo"):
        monkeypatch.setattr(socket, name, lambda *names: asked.append(names) or "name")
    serve(unused_tcp_port)
    read("127.0.0.1", unused_tcp_port)
    assert not asked


def test_a_client_that_says_nothing_holds_nobody_up_for_long(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "CLIENT_SECONDS", 0.2)
    serve(unused_tcp_port)
    with socket.create_connection(("127.0.0.1", unused_tcp_port)):
        assert "sse_exporter_collect_seconds" in read("127.0.0.1", unused_tcp_port)
