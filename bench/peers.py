"""The hubs that fanout.py compares, each on one core: ours, nchan, Mercure, Centrifugo, sse-starlette and fastapi.

A peer is installed below .ansible/bench and changes nothing of the system: Debian packages are unpacked and not
installed, Python packages go into a virtual environment, and a Go program is built from pinned modules. A peer that
cannot be installed raises SkippedError with the reason.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import load
import yaml
from measurements import Job, Step, SubscribeStep, WindowStep

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 30.0  # until a server is ready
PAUSE_SECONDS = 0.05  # between two questions whether it is ready
CACHE = ROOT / ".ansible" / "bench"
HUBS = ROOT / "bench" / "hubs"
HUB_CORE, CLIENT_CORE = 0, 1
JWT_KEY = "the benchmark's own key, of at least 32 bytes"


class SkippedError(Exception):
    """A peer cannot be measured here. The message gives the reason."""


@dataclass
class Hub:
    """A hub that runs, as load.py needs to know it."""

    port: int
    subscribe: str  # the request of a subscriber
    publish_head: str  # the request of a publisher, up to Content-Length
    publish_tail: str = "PAYLOAD"  # the body of that request
    escape: bool = False  # whether the body is form-encoded
    processes: dict[str, list[int]] = field(default_factory=dict[str, list[int]])  # process ids by name
    spin: bool = True  # whether the client has its core for itself

    def job(self, steps: list[Step]) -> Job:
        """Return what load.py reads."""
        return {
            "port": self.port,
            "subscribe": self.subscribe,
            "publish_head": self.publish_head,
            "publish_tail": self.publish_tail,
            "escape": self.escape,
            "processes": self.processes,
            "reader": str(reader()),
            "spin": self.spin,
            "steps": steps,
        }


class Workplace:
    """The processes, ports and files of one measurement. At its end all are removed, processes by their id."""

    def __init__(self, first_port: int, versions: dict[str, str]) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="sse-fanout-"))
        self.directory.chmod(0o755)  # the user of a broker reads its configuration here
        self.versions = versions
        self._first_port = first_port
        self._children: list[subprocess.Popen[bytes]] = []
        self._closing = contextlib.ExitStack()

    def port(self) -> int:
        """Return a port of this machine on which nobody listens."""
        for port in range(self._first_port, self._first_port + 100):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            self._first_port = port + 1
            return port
        raise SkippedError(f"no port from {self._first_port} to {self._first_port + 99} is free")

    def start(self, command: list[str], ready: int | str, core: int = HUB_CORE, **environment: str) -> int:
        """Start a server on one core, and wait until it accepts connections on a port or a Unix socket."""
        log = self.directory / f"{len(self._children)}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                command,
                cwd=self.directory,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 - nothing else runs a thread here
            )
        self._children.append(child)
        wait_until(
            lambda: accepts(ready),
            lambda: f"{command[0]} does not start: {log.read_text(errors='replace')[-300:]}",
            ended=lambda: child.poll() is not None,
        )
        return child.pid

    def at_end(self, undo: Callable[[], object]) -> None:
        """Call a function when the measurement ends."""
        self._closing.callback(undo)

    def stop(self) -> None:
        """End every server with all processes that it started."""
        for child in reversed(self._children):
            if child.poll() is None:
                child.terminate()
        for child in self._children:
            try:
                child.wait(3)
            except subprocess.TimeoutExpired:
                for pid in descendants(child.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, 9)
                child.wait(10)
        self._children.clear()
        self._closing.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def wait_until(
    ready: Callable[[], bool],
    problem: Callable[[], str],
    seconds: float = START_SECONDS,
    ended: Callable[[], bool] = lambda: False,
) -> None:
    """Wait until a server is ready.

    :param problem: says what is wrong where it does not become ready in time
    :param ended: tells whether it will never become ready
    :raises SkippedError: with that problem
    """
    until = time.monotonic() + seconds
    while not ready():
        if ended() or time.monotonic() > until:
            raise SkippedError(problem())
        time.sleep(PAUSE_SECONDS)


@contextlib.contextmanager
def workplace(first_port: int, versions: dict[str, str]) -> Generator[Workplace]:
    """Make a place for one measurement, and remove it afterwards."""
    place = Workplace(first_port, versions)
    try:
        yield place
    finally:
        place.stop()


def accepts(where: int | str) -> bool:
    """Tell whether somebody listens on a port or a Unix socket."""
    with socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET) as probe:
        probe.settimeout(2)
        return probe.connect_ex(where if isinstance(where, str) else ("127.0.0.1", where)) == 0


def descendants(pid: int) -> list[int]:
    """Return a process and all processes that it started, directly or not."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return found


def call(*command: str, cwd: Path | None = None, **environment: str) -> str:
    """Run an installer and return its output.

    :raises SkippedError: where it fails, with the end of what it printed
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
    except FileNotFoundError as error:
        raise SkippedError(f"{command[0]} is not installed") from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (error.stderr or b"") if isinstance(error.stderr, bytes) else (error.stderr or "").encode()
        raise SkippedError(f"{command[0]} fails: {said.decode(errors='replace').strip()[-200:]}") from error
    return done.stdout


def once(name: str, key: str, install: Callable[[Path], object]) -> Path:
    """Return a directory of the cache. `install` makes it where it is missing or was made for another key."""
    place = CACHE / name
    stamp = place / ".installed"
    if not stamp.is_file() or stamp.read_text() != key:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        install(place)
        stamp.write_text(key)
    return place


def digest(*paths: Path) -> str:
    """Return a hash of the files that a directory of the cache was made from."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def reader() -> Path:
    """Return the compiled inner loop of the client."""
    source = Path(load.__file__).with_name("reader.c")
    return once("reader", digest(source), load.build) / "reader.so"


# --- ours


def ours(place: Workplace, core: int = HUB_CORE, **settings: str) -> Hub:
    """Start one replica with the embedded log (or Kafka, by settings), with filters, cursors and metrics as always."""
    port = place.port()
    environment = {"SSE_HOST": "127.0.0.1", "SSE_PORT": str(port), "SSE_REPLICA": "bench", "SSE_LOG_LEVEL": "warning"}
    pid = place.start(
        [sys.executable, "-m", "sse_app"], port, core, PYTHONPATH=str(ROOT / "app"), **{**environment, **settings}
    )
    wait_until(lambda: ready(port), lambda: "the service does not become ready")
    place.versions["ours"] = f"Python {sys.version.split()[0]}"
    return Hub(
        port,
        "GET /api/v1/stream?channel=bench HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n",
        "POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n",
        '{"channel":"bench","data":PAYLOAD}',
        processes={"ours": [pid]},
    )


def ready(port: int) -> bool:
    """Tell whether a replica says that it is ready for traffic."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return connection.recv(65536).split(b" ", 2)[1] == b"200"


# --- peers


def debian_nginx() -> Path:
    """Return the unpacked Debian packages nginx and libnginx-mod-nchan, in the versions that apt offers here."""
    packages = ("nginx", "libnginx-mod-nchan")
    offered = call("apt-cache", "policy", *packages, LANG="C")
    if offered.count("Candidate:") != len(packages) or "(none)\n  Version" in offered:
        raise SkippedError("apt offers no libnginx-mod-nchan")

    def install(directory: Path) -> None:
        call("apt-get", "download", *packages, cwd=directory)
        for package in directory.glob("*.deb"):
            call("dpkg-deb", "--extract", str(package), str(directory))

    candidates = "".join(line for line in offered.splitlines() if "Candidate:" in line)
    return once("nginx", candidates, install)


def start_nginx(place: Workplace, port: int, http: str, core: int, modules: str = "") -> list[int]:
    """Run NGINX with one worker and the given http block as this user, and return its process ids."""
    root = debian_nginx()
    program = str(root / "usr/sbin/nginx")
    configuration = place.directory / f"nginx-{port}.conf"
    paths = "".join(
        f"    {name}_temp_path {place.directory}/{name}-{port};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration.write_text(
        f"{modules}\ndaemon off;\nworker_processes 1;\nworker_rlimit_nofile 20000;\nuser root;\n"
        f"pid {place.directory}/nginx-{port}.pid;\nerror_log stderr crit;\nevents {{ worker_connections 16384; }}\n"
        f"http {{\n{paths}    access_log off;\n{http}\n}}\n"
    )
    # With nchan, Debian's program also creates the directories that were compiled into it: give it its own /var/lib.
    private = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c"]
    script = 'mount -t tmpfs none /var/lib && mkdir /var/lib/nginx && exec "$@"'
    command = [*private, script, "sh", program, "-e", "stderr", "-p", str(place.directory), "-c", str(configuration)]
    pid = place.start(command, port, core)
    place.versions["NGINX"] = (
        subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr.strip().rpartition("/")[2]
    )
    # It listens before it has its worker.
    wait_until(lambda: len(descendants(pid)) > 1, lambda: "NGINX has no worker")
    return descendants(pid)


def nchan(place: Workplace) -> Hub:
    """Start nchan with one worker."""
    port = place.port()
    root = debian_nginx()
    module = root / "usr/lib/nginx/modules/ngx_nchan_module.so"
    pids = start_nginx(
        place,
        port,
        f"""
    nchan_shared_memory_size 256M;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        keepalive_requests 1000000;
        location = /publish {{ nchan_publisher; nchan_channel_id $arg_channel; nchan_message_buffer_length 1000; }}
        location = /stream {{ nchan_subscriber eventsource; nchan_channel_id $arg_channel;
            nchan_subscriber_first_message newest; }}
    }}""",
        HUB_CORE,
        f"load_module {module};",
    )
    [package] = root.glob("libnginx-mod-nchan_*.deb")
    place.versions["nchan"] = package.name.split("_")[1].replace("%3a", ":")
    return Hub(
        port,
        "GET /stream?channel=bench HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n",
        "POST /publish?channel=bench HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n",
        processes={"nchan": pids},
    )


def mercure(place: Workplace) -> Hub:
    """Start the library of Mercure in a hub of ten lines (hubs/mercure/main.go)."""
    source = HUBS / "mercure"

    def install(directory: Path) -> None:
        call("go", "build", "-mod=readonly", "-o", str(directory / "hub"), ".", cwd=source, CGO_ENABLED="0")

    program = once("mercure", digest(*sorted(source.iterdir())), install) / "hub"
    port = place.port()
    pid = place.start([str(program), f"127.0.0.1:{port}", JWT_KEY], port)
    place.versions["Mercure"] = version(source, "github.com/dunglas/mercure")
    return Hub(
        port,
        "GET /.well-known/mercure?topic=bench HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n",
        "POST /.well-known/mercure HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Authorization: Bearer {token({'mercure': {'publish': ['*']}})}\r\n",
        "topic=bench&data=PAYLOAD",
        escape=True,
        processes={"Mercure": [pid]},
    )


def centrifugo(place: Workplace) -> Hub:
    """Start Centrifugo with its engine in memory: streams of one direction, nobody signs in, no history."""
    source = HUBS / "centrifugo"
    [package] = [line.split()[1] for line in (source / "go.mod").read_text().splitlines() if line.startswith("tool ")]

    def install(directory: Path) -> None:
        program = str(directory / "centrifugo")
        call("go", "build", "-mod=readonly", "-o", program, package, cwd=source, CGO_ENABLED="0")

    program = once("centrifugo", digest(*sorted(source.iterdir())), install) / "centrifugo"
    port = place.port()
    settings = place.directory / "centrifugo.json"
    settings.write_text(
        json.dumps(
            {
                "http_server": {"address": "127.0.0.1", "port": str(port)},
                "log": {"level": "error"},
                "client": {"insecure": True, "allow_anonymous_connect_without_token": True},
                "http_api": {"insecure": True},
                "uni_sse": {"enabled": True},
            }
        )
    )
    pid = place.start([str(program), "-c", str(settings)], port)
    place.versions["Centrifugo"] = version(source, package)
    wanted = urllib.parse.quote('{"subs":{"bench":{}}}')
    return Hub(
        port,
        f"GET /connection/uni_sse?cf_connect={wanted} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n",
        "POST /api/publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n",
        '{"channel":"bench","data":PAYLOAD}',
        processes={"Centrifugo": [pid]},
    )


def version(source: Path, module: str) -> str:
    """Return the version of a module that the go.mod of a hub requires."""
    [line] = [one for one in (source / "go.mod").read_text().splitlines() if f"{module} v" in one]
    return line.split(f"{module} v")[1].split()[0]


def token(claims: object) -> str:
    """Return claims as a JWT (RFC 7519), signed with HS256."""

    def encoded(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    text = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{text}.{encoded(hmac.digest(JWT_KEY.encode(), text.encode(), 'sha256'))}"


def python_hub(place: Workplace, kind: str, program: str = "hub.py") -> Hub:
    """Start a hub that uses a Python library (hubs/python/hub.py), or another program beside it."""
    requirements = HUBS / "python" / "requirements.txt"

    def install(directory: Path) -> None:
        call(sys.executable, "-m", "venv", str(directory))
        call(str(directory / "bin/pip"), "install", "--quiet", "--require-hashes", "-r", str(requirements))

    python = once("python", digest(requirements) + sys.version, install) / "bin/python"
    port = place.port()
    pid = place.start([str(python), str(HUBS / "python" / program), str(port)], port)
    pins = dict(line.split()[0].split("==") for line in requirements.read_text().splitlines() if "==" in line)
    place.versions[kind] = pins[kind]
    return Hub(
        port,
        f"GET /{kind}?channel=bench HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n",
        "POST /publish?channel=bench HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n",
        processes={kind: [pid]},
    )


PEERS: dict[str, Callable[[Workplace], Hub]] = {
    "ours": ours,
    "nchan": nchan,
    "Mercure": mercure,
    "Centrifugo": centrifugo,
    "sse-starlette": lambda place: python_hub(place, "sse-starlette"),
    "fastapi": lambda place: python_hub(place, "fastapi"),
}
# No hub: what a publish, a delivery and a stream cost at least where Python serves them.
FLOOR = "no hub, the least by uvicorn"
WITH_FLOOR: dict[str, Callable[[Workplace], Hub]] = {
    **PEERS,
    FLOOR: lambda place: python_hub(place, "uvicorn", "least.py"),
}


# --- the programs that our service is deployed with


LINKS = ("tcp", "socket")


def behind_nginx(place: Workplace) -> Hub:
    """Start our service behind NGINX, with the settings of the role nginx; /tcp/ and /socket/ lead to it."""
    path = str(place.directory / "app.sock")
    hub = ours(place, SSE_SOCKET_PATH=path)
    port = place.port()
    servers = {"tcp": f"127.0.0.1:{hub.port}", "socket": f"unix:{path}"}
    upstreams = "".join(
        f"    upstream {link} {{ zone {link} 128k; least_conn; server {servers[link]}; keepalive 32; }}\n"
        for link in LINKS
    )
    locations = "".join(f"        location /{link}/ {{ proxy_pass http://{link}/; }}\n" for link in LINKS)
    pids = start_nginx(
        place,
        port,
        f"""
    proxy_buffering off;
    proxy_buffer_size 16k;
    proxy_buffers 4 16k;
    proxy_http_version 1.1;
    proxy_socket_keepalive on;
    proxy_read_timeout 45s;
    send_timeout 60s;
    reset_timedout_connection on;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header Idempotency-Key $request_id;
{upstreams}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        keepalive_requests 1000000;
{locations}
    }}""",
        HUB_CORE,
    )
    hub.port, hub.publish_head = port, hub.publish_head.replace(" /", " /tcp/", 1)
    hub.processes["NGINX"] = pids
    return hub


def by_link(hub: Hub, link: str, step: SubscribeStep | WindowStep) -> Step:
    """Return a step for the subscribers of one link. Each link has its own channel."""
    name = f"{link} {step['name']}"
    if step["kind"] == "subscribe":
        request = hub.subscribe.replace(" /", f" /{link}/", 1).replace("channel=bench", f"channel={link}")
        return {**step, "name": name, "set": link, "request": request}
    return {**step, "name": name, "set": link, "tail": hub.publish_tail.replace('"bench"', f'"{link}"')}


class Broker(NamedTuple):
    """A broker that runs: its address and its processes on this host, and the settings of a replica that uses it."""

    address: str
    pids: list[int]
    settings: dict[str, str]


def kafka(place: Workplace, *, asks: bool = False) -> Broker:
    """Start a broker from the platform's image, with the configuration of the platform, in a container.

    :param asks: who somebody is (SASL/SCRAM) and what they may do (ACL), as in a deployed stack; else all may do all
    """
    images = call("docker", "images", "--format", "{{.Repository}}:{{.Tag}}").split()
    image = next((one for one in images if one.startswith("sse-platform/kafka:") and needs_no_zookeeper(one)), None)
    if image is None:
        raise SkippedError("there is no image sse-platform/kafka with KRaft: ./sse up builds it")
    port = place.port()
    name = f"sse-fanout-{port}"
    home = place.directory / name
    directories = {target: home / target for target in ("config", "secrets", "data", "tmp")}
    for directory in directories.values():
        directory.mkdir(parents=True)
    for writable in ("data", "tmp"):
        shutil.chown(directories[writable], 9092, 9092)
    for file in (ROOT / "roles/kafka/files").iterdir():
        shutil.copy(file, directories["config"])
    (directories["secrets"] / "cluster_id").write_text(
        base64.urlsafe_b64encode(bytes(1) + uuid.uuid4().bytes[1:])[:22].decode()
    )
    (directories["config"] / "server.properties").write_text(server_properties(port, asks=asks))
    options = (
        "-Xms512m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Djava.io.tmpdir=/var/tmp/kafka"
    )
    targets = {
        "config": "/etc/kafka:ro",
        "secrets": "/run/secrets:ro",
        "data": "/var/lib/kafka",
        "tmp": "/var/tmp/kafka",
    }
    mounts = [part for key, target in targets.items() for part in ("-v", f"{directories[key]}:{target}")]
    place.at_end(lambda: subprocess.run(["docker", "rm", "-f", name], capture_output=True, check=False))
    call(
        "docker", "run", "-d", "--name", name, "--user", "9092:9092", "--cpuset-cpus", str(CLIENT_CORE),
        "-e", "KAFKA_COORDINATION=kraft", "-e", f"KAFKA_JVM_OPTIONS={options}", "-p", f"127.0.0.1:{port}:19092",
        *mounts, "--entrypoint", "sh", image, "/etc/kafka/start-kafka.sh",
    )  # fmt: skip
    wait_until(
        lambda: accepts(port),
        lambda: f"the broker does not start: {call('sh', '-c', f'docker logs --tail 5 {name} 2>&1')[-300:]}",
        2 * START_SECONDS,
    )
    pid = int(call("docker", "inspect", "--format", "{{.State.Pid}}", name))
    place.versions["Kafka"] = image
    address = f"127.0.0.1:{port}"
    settings = {"KAFKA_BROKERS": address} | (signs_in(home, pid) if asks else {})
    return Broker(address, descendants(pid), settings)


def needs_no_zookeeper(image: str) -> bool:
    """Tell whether an image has the Kafka of kafka_coordination=kraft, not the last one with ZooKeeper."""
    return "kafka_2.13-4." in call(
        "docker", "run", "--rm", "--network=none", "--entrypoint", "ls", image, "/opt/kafka/libs"
    )


def server_properties(port: int, *, asks: bool) -> str:
    """Return the configuration of a deployed broker, for this port of the host."""
    role = ROOT / "roles/kafka"
    environment: Any = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True)  # nosec B701 - it makes no HTML
    environment.filters["combine"] = combined
    given = yaml.safe_load((role / "defaults/main.yml").read_text()) | {
        "kafka_port": port,
        "kafka_external_port": 9094,
        "__kafka_names": ["kafka"],
        "__kafka_message_bytes": 2**19,
    }
    text = environment.from_string((role / "templates/server.properties.j2").read_text()).render(given)
    # The listener on which the broker speaks to itself stays as it is.
    kept = [line for line in text.splitlines() if asks or not line.startswith("authorizer.")]
    opened = [re.sub(r"(INTERNAL|EXTERNAL|HOST):SASL_PLAINTEXT", r"\1:PLAINTEXT", line) for line in kept]
    return "\n".join(kept if asks else opened) + "\n"


def combined(*parts: dict[str, object]) -> dict[str, object]:
    """Return one dictionary of several, as the filter `combine` of Ansible does."""
    return {key: value for part in parts for key, value in part.items()}


def signs_in(home: Path, pid: int) -> dict[str, str]:
    """Give the service a user of a broker, as a run of the platform does; return its settings."""
    password, topic = secrets.token_urlsafe(24), "sse-events"
    rights = {"admin": {}, "app": {right: [topic] for right in ("read", "write", "create")}}
    now = {f"/run/users/{user}": password for user in rights} | {"/etc/accounts/users.json": json.dumps(rights)}
    program = ROOT / "roles/kafka/files/accounts.py"
    # In the network namespace of the broker; its loopback address is where the controller listens.
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, str(program)]
    asked = json.dumps({"now": now, "before": {}})
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise SkippedError(f"the broker takes no users: {done.stderr.strip()[-200:]}")
    file = home / "password"
    file.write_text(password)
    return {"KAFKA_USER": "app", "KAFKA_PASSWORD_FILE": str(file)}
