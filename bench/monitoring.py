"""What it costs to watch: the monitoring of a stack at rest, and the line that NGINX writes of each request.

    .venv/bin/python bench/monitoring.py --prometheus=http://127.0.0.1:9090  # what a Prometheus says of some minutes
    .venv/bin/python bench/monitoring.py --nginx=IMAGE [--rounds=N]           # pairs with the line and without it

The second one starts NGINX twice with Docker, from an image such as `docker inspect -f '{{.Config.Image}}' sse-nginx`.
It reads the processor time of the workers, so it means something on a busy machine, too.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

WATCHES = "prometheus|grafana|alertmanager|canary|.*-exporter"
REQUESTS, PIPELINED = 100_000, 100
ONE = b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
LINE = """
    map $request_uri $counted {
        default r:other;
        "~^/api/v1/events(\\?|$)" r:/api/v1/events;
        "~^/api/v1/stream(\\?|$)" s:/api/v1/stream;
        "~^/api/v1/stats/stream(\\?|$)" s:/api/v1/stats/stream;
        "~^/api/v1/" r:/api/v1/;
    }
    log_format counted '$counted $status $request_time $upstream_status';
    access_log /tmp/requests.log counted buffer=32k flush=1s;
"""
CONFIG = """
worker_processes 1;
pid /tmp/nginx.pid;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c; uwsgi_temp_path /tmp/d;
    scgi_temp_path /tmp/e;
    keepalive_requests 100000000;
    log_format line '$time_iso8601 $remote_addr $request_method $uri $status $bytes_sent $request_time $request_id';
    access_log /dev/null line;
    {line}
    server {{ listen 8080; location / {{ return 202; }} }}
}}
"""


def ask(url: str, query: str) -> dict[str, float]:
    """Return the values of a query by their first label."""
    with urllib.request.urlopen(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return {next(iter(one["metric"].values()), ""): float(one["value"][1]) for one in found}


def at_rest(url: str, window: str) -> None:
    """Print what each container that only watches takes, and how much there is to watch."""
    mine = f'container=~"{WATCHES}"'
    processor = ask(url, f"sum by (container) (rate(container_cpu_usage_seconds_total{{{mine}}}[{window}]))")
    memory = ask(url, f"sum by (container) (container_memory_working_set_bytes{{{mine}}})")
    print("| container | share of a core | memory |\n|---|---|---|")
    for name in sorted(processor):
        print(f"| {name} | {processor[name]:.2%} | {memory[name] / 2**20:.0f} MiB |")
    print(f"| all | {sum(processor.values()):.2%} | {sum(memory.values()) / 2**20:.0f} MiB |")
    [series] = ask(url, "prometheus_tsdb_head_series").values()
    print(f"\nSeries: {series:.0f}. Scrapes, in milliseconds (samples):")
    seconds = ask(url, f"max by (job) (avg_over_time(scrape_duration_seconds[{window}]))")
    samples = ask(url, "sum by (job) (scrape_samples_scraped)")
    print(", ".join(f"{job} {seconds[job] * 1000:.1f} ({samples[job]:.0f})" for job in sorted(seconds)))


class Nginx:
    """An NGINX in a container, with one worker."""

    def __init__(self, image: str, line: str, directory: Path) -> None:
        directory.mkdir()
        directory.chmod(0o755)
        (directory / "nginx.conf").write_text(CONFIG.format(line=line))
        options = ["--user=8080:8080", "--read-only", "--tmpfs=/tmp:size=256m,mode=1777", "--network=bridge"]
        command = ["docker", "run", "-d", "--rm", *options, f"-v={directory}:/etc/n:ro", "--entrypoint=nginx", image]
        end = ["-e", "stderr", "-c", "/etc/n/nginx.conf", "-g", "daemon off;"]
        self.id = subprocess.run([*command, *end], check=True, capture_output=True, text=True).stdout.strip()
        time.sleep(1)
        shown = subprocess.run(["docker", "inspect", self.id], check=True, capture_output=True, text=True).stdout
        inspected: dict[str, Any] = json.loads(shown)[0]
        children = Path(f"/proc/{inspected['State']['Pid']}/task/{inspected['State']['Pid']}/children").read_text()
        self.worker = int(children.split()[0])
        self.connection = socket.create_connection((inspected["NetworkSettings"]["IPAddress"], 8080))

    def cpu(self) -> float:
        """Return the processor time of the worker so far, in seconds."""
        nanoseconds = Path(f"/proc/{self.worker}/schedstat").read_text().split()[0]
        return int(nanoseconds) / 1e9

    def cost(self) -> float:
        """Return microseconds of a request."""
        begun = self.cpu()
        for _ in range(REQUESTS // PIPELINED):
            self.connection.sendall(ONE * PIPELINED)
            answers = 0
            while answers < PIPELINED:
                answers += self.connection.recv(1 << 20).count(b"HTTP/1.1 202")
        return (self.cpu() - begun) / REQUESTS * 1e6

    def end(self) -> None:
        """Remove the container."""
        subprocess.run(["docker", "rm", "-f", self.id], check=True, capture_output=True)


def lines(image: str, rounds: int) -> None:
    """Print what a request costs with the line and without it, in turn."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        made: list[Nginx] = []
        try:
            made.extend(Nginx(image, line, Path(directory) / name) for name, line in (("without", ""), ("with", LINE)))
            pairs = [(made[0].cost(), made[1].cost()) for _ in range(rounds)]
        finally:
            for one in made:
                one.end()
    without, with_line = (statistics.median(values) for values in zip(*pairs, strict=True))
    more = statistics.median(two - one for one, two in pairs)
    print(f"without the line {without:.2f} us, with it {with_line:.2f} us, difference of pairs {more:.2f} us a request")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", metavar="URL", help="its address; all is asked of it")
    parser.add_argument("--window", default="2m", help="over which rates are taken")
    parser.add_argument("--nginx", metavar="IMAGE")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.nginx:
        lines(options.nginx, options.rounds)
    if options.prometheus:
        at_rest(options.prometheus.rstrip("/"), options.window)


if __name__ == "__main__":
    main()
