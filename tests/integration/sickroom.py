"""Throwaway containers, networks, rules and interfaces with one fault each, and a release that declares them."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import docker
from ansible_collections.sse.platform.plugins.module_utils.model.release import FORMAT
from ansible_collections.sse.platform.tests.integration.stack import Run, Running, eventually
from docker.errors import APIError, NotFound
from docker.types import IPAMConfig, IPAMPool

PREFIX = "10.68.101"
MTU = 1400  # at most what any uplink of these tests carries
PORTS = range(21790, 21800)
# The part of a release about networks: it has none.
NETWORKS: dict[str, Any] = {"layout": "single", "networks": {}, "allow_from": []}
FINDING = re.compile(r"^\s*(\d+\.|mended by it, too:) (?:(?:critical|warning|info): )?(\S+): (.*) \[([a-z-]+)\]$")


class Told(NamedTuple):
    """A finding as doctor printed it."""

    subject: str
    wrong: str
    rule: str
    evidence: str
    mend: tuple[str, ...]


def findings(output: str) -> list[Told]:
    """Read findings back from the screen."""
    found: list[Told] = []
    for line in output.splitlines():
        if match := FINDING.match(line):
            mend = () if match[1][0].isdigit() else ("# by the commands of the finding above",)
            found.append(Told(match[2], match[3], match[4], "", mend))
        elif found and line.strip().startswith("evidence: "):
            found[-1] = found[-1]._replace(evidence=line.strip().removeprefix("evidence: "))
        elif found and line.strip().startswith("mend: "):
            found[-1] = found[-1]._replace(mend=(*found[-1].mend, line.strip().removeprefix("mend: ")))
    return found


def shell(*command: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def serve(port: int, bind: str = "0.0.0.0") -> list[str]:
    return ["-m", "http.server", str(port), "--bind", bind]


SLEEP = ["-c", "import signal; signal.pause()"]
# Listens, but accepts no connection: its queue is full.
HUNG = """
import signal, socket
server = socket.create_server(("", 8000), backlog=0)
kept = [socket.socket() for _ in range(4)]
for one in kept:
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", 8000))
signal.pause()
"""
NGINX = """
events {}
error_log stderr;
http { server { listen 8000; location / { proxy_connect_timeout 1s; proxy_pass http://dr-backend:8000; } } }
"""


class Sickroom:
    """The sick part of the host. Every name in it begins with dr-, and everything is removed at the end."""

    stack = "dr"

    def __init__(self, state: Path, python: str, nginx: str) -> None:
        self.engine = docker.from_env()
        self.images = {"python": python, "nginx": nginx}
        self.state = state
        self.undo = contextlib.ExitStack()
        self.specs: dict[str, dict[str, Any]] = {}
        self.listeners: dict[int, int] = {}  # process id, by port of the host

    def doctor(self, **variables: Any) -> Run:
        """Run ./sse doctor with the settings of a stack called dr."""
        known: dict[str, Any] = {
            "stack_name": self.stack,
            "stack_state_directory": str(self.state),
            "network_subnet": f"{PREFIX}.0/24",
            "exposure_profile": "production",
            "exposure_unauthenticated_publishing": True,
            "exposure_http_port": PORTS[6],
            "doctor_host": True,
        }
        return Running("doctor", {**known, **variables}, ()).end()

    def seen(self) -> list[Any]:
        """Return what the engine has of this part: the networks, and when each container was started."""
        networks, containers = self.engine.networks.list(names=["dr-"]), self.engine.containers.list(all=True)
        ours = [one for one in containers if "dr-" in str(one.name) and one.name != "dr-looping"]
        started = {str(one.name): one.attrs["State"]["StartedAt"] for one in ours}
        return [sorted(str(one.id) for one in networks), started]

    # --- what it makes

    def network(self, name: str, subnet: str, mtu: int = MTU, gateway: str | None = None, **options: Any) -> Any:
        """Make a network, after removing what a killed run left of it."""
        self.remove_network(name)
        made = self.engine.networks.create(
            name,
            driver="bridge",
            options={"com.docker.network.driver.mtu": str(mtu)},
            ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet, gateway=gateway)]),
            **options,
        )
        self.undo.callback(self.remove_network, name)
        return made

    def remove_network(self, name: str) -> None:
        with contextlib.suppress(NotFound):
            self.engine.networks.get(name).remove()

    def container(
        self, short: str, command: list[str], *, reaches: tuple[str, ...] = (), start: bool = True, **options: Any
    ) -> Any:
        """Make a container of the stack dr, and declare it in its release."""
        name = f"dr-{short}"
        aliases = options.pop("aliases", [])
        self.specs[name] = {
            "container": short,
            "service": short,
            "aliases": [short, *aliases],
            "ports": [],
            "networks": {},
            "listens": [],
            "healthcheck": {"http": None},
            "reaches_host": [],
            "reaches": [{"to": peer, "why": "the test"} for peer in reaches],
        }
        self.remove_container(name)
        options = {"network": "dr-network", "entrypoint": ["python", "-u"], "image": self.images["python"], **options}
        made = self.engine.containers.create(
            command=command,
            name=name,
            hostname=short,
            stop_signal="SIGKILL",  # Python ignores other signals when it is the first process
            labels={"sse.platform.stack": "dr"},
            **options,
        )
        self.undo.callback(self.remove_container, name)
        if start:
            made.start()
            made.reload()
        return made

    def remove_container(self, name: str) -> None:
        with contextlib.suppress(NotFound):
            self.engine.containers.get(name).remove(force=True)

    def inside(self, container: Any, *command: str) -> None:
        """Run a command of the host in a container's network namespace."""
        container.reload()
        shell("nsenter", "-t", str(container.attrs["State"]["Pid"]), "-n", *command)

    def rule(self, table: str, chain: str, *rest: str) -> None:
        """Add a firewall rule on the host; it is removed at the end, or earlier by the command of a finding."""
        shell("iptables", "-w", "-t", table, "-I", chain, *rest)
        self.undo.callback(
            subprocess.run, ["iptables", "-w", "-t", table, "-D", chain, *rest], check=False, capture_output=True
        )

    def listen(self, port: int) -> None:
        """Start a process on the host that listens on loopback."""
        process = subprocess.Popen(
            [sys.executable, *serve(port, "127.0.0.1")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.undo.callback(process.wait, 30)
        self.undo.callback(process.kill)
        self.listeners[port] = process.pid
        eventually(lambda: f":{port:04X} " in Path("/proc/net/tcp").read_text(), f"port {port} is open")

    def write_release(self) -> None:
        """Write the newest release of the stack: what the containers declare."""
        path = self.state / "releases" / "dr" / "0001.json"
        path.parent.mkdir(parents=True)
        body = {"format": FORMAT, "number": 1, "stack": "dr", "project": "dr", "unavailable": {}, **NETWORKS}
        path.write_text(json.dumps({**body, "containers": self.specs, "meta": {"outcome": "applied"}}))

    # --- the faults

    def fall_sick(self) -> None:
        """Inject every fault."""
        self.networks()
        self.connections()
        self.names()
        self.ports()
        self.rest()
        self.write_release()
        self.fill_disk()

    def networks(self) -> None:
        self.network("dr-network", f"{PREFIX}.0/24")  # without the label of the stack, so the stack did not make it
        self.network("dr-conflict", "10.68.102.0/24")
        self.network("dr-needed", "10.68.103.0/24")
        self.container("needing", SLEEP, network="dr-needed", start=False)
        shell("ip", "tuntap", "add", "dev", "drtun0", "mode", "tun")
        self.undo.callback(shell, "ip", "link", "del", "drtun0")
        shell("ip", "address", "add", "10.68.102.5/24", "dev", "drtun0")
        shell("ip", "link", "set", "drtun0", "up")
        shell("ip", "route", "add", "10.68.105.128/25", "dev", "drtun0")
        loop = self.container("looping", ["-c", "raise SystemExit(3)"], restart_policy={"Name": "always"})
        eventually(lambda: loop.reload() or loop.attrs["RestartCount"] > 3, "it restarts again and again")
        gone = self.network("dr-gone", "10.68.104.0/24")
        self.container("orphan", SLEEP, network="dr-gone").kill()
        gone.remove()
        self.network("dr-jumbo", "10.68.105.0/24", mtu=9000)
        self.container("jumbo", SLEEP, network="dr-jumbo")
        self.inside(self.container("small", SLEEP), "ip", "link", "set", "eth0", "mtu", "1200")
        self.inside(self.container("stale", SLEEP), "ip", "link", "del", "eth0")
        for name, number in (("dr-bare", 108), ("dr-down", 109)):
            host = f"10.68.{number}.1"
            made = self.network(name, f"10.68.{number}.0/24", gateway=host, labels={"sse.platform.stack": "dr"})
            change = ("link", "set", "down") if name == "dr-down" else ("address", "del", f"{host}/24")
            shell("ip", *change, "dev", f"br-{made.id[:12]}")

    def connections(self) -> None:
        peers = ("loopback", "deaf", "sick", "apart", "stopped", "walled", "db", "inner", "hung", "halted", "cache")
        pinned = {"halted": f"{PREFIX}.251"}
        self.container("client", SLEEP, reaches=tuple(f"{one}:8000" for one in peers), extra_hosts=pinned)
        server = self.container("server", serve(8000))
        self.container("loopback", serve(8000, "127.0.0.1"), ports={"8000/tcp": ("127.0.0.1", PORTS[1])})
        self.container("deaf", SLEEP, ports={"8000/tcp": ("127.0.0.1", PORTS[2])})
        check = {"test": ["CMD", "false"], "interval": 10**9, "retries": 1}
        sick = self.container("sick", SLEEP, healthcheck=check)
        self.network("dr-other", "10.68.106.0/24")
        self.container("apart", serve(8000), network="dr-other")
        self.container("stopped", ["-c", "raise SystemExit(3)"])
        self.container("halted", SLEEP, start=False)
        self.container("hung", ["-c", HUNG])
        walled = self.container("walled", serve(8000))
        address = walled.attrs["NetworkSettings"]["Networks"]["dr-network"]["IPAddress"]
        self.rule("filter", "DOCKER-USER", "-d", address, "-p", "tcp", "--dport", "8000", "-j", "DROP")
        inner = self.container("inner", serve(8000))
        self.inside(inner, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", "8000", "-j", "REJECT")
        eventually(lambda: health_of(sick) == "unhealthy", "unhealthy")
        eventually(lambda: server.exec_run(["python", "-c", CONNECT]).exit_code == 0, "the server listens")

    def names(self) -> None:
        self.container("aliasless", serve(8000), aliases=["db"])  # declared, but the engine does not know the alias
        self.container("owner", serve(8000), aliases=["cache"])
        thief = self.container("thief", SLEEP, network=None)
        self.engine.networks.get("dr-network").connect(thief, aliases=["cache"])
        self.specs["dr-absent"] = {**self.specs["dr-owner"], "container": "absent", "aliases": ["absent"]}
        self.container("bridged", SLEEP, network="bridge", reaches=("server:8000",))
        mute = self.container("mute", SLEEP, reaches=("server:8000",))
        self.inside(mute, "iptables", "-t", "nat", "-F")
        self.container("pinned", SLEEP, extra_hosts={"dr-server": f"{PREFIX}.250"})
        backend = self.container("backend", serve(8000))
        network = self.engine.networks.get("dr-network")
        network.disconnect(backend)
        network.connect(backend, ipv4_address=f"{PREFIX}.239", aliases=["backend"])
        config = self.state.parent / "nginx"
        config.mkdir()
        (config / "nginx.conf").write_text(NGINX)
        nginx = self.container(
            "nginx",
            ["-g", "daemon off;", "-c", "/etc/dr/nginx.conf"],
            image=self.images["nginx"],
            entrypoint=["nginx", "-e", "stderr"],
            volumes={str(config): {"bind": "/etc/dr", "mode": "ro"}},
            ports={"8000/tcp": ("127.0.0.1", PORTS[3])},
        )
        self.request(nginx)
        network.disconnect(backend)
        network.connect(backend, ipv4_address=f"{PREFIX}.240", aliases=["backend"])
        self.request(nginx)

    def request(self, nginx: Any) -> None:
        """Make NGINX send one request to its upstream."""
        script = "exec 3<>/dev/tcp/127.0.0.1/8000 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"
        eventually(lambda: nginx.exec_run(["bash", "-c", script]).exit_code == 0, "nginx answers")

    def ports(self) -> None:
        self.network("dr-internal", "10.68.107.0/24", internal=True)
        self.container("internal", SLEEP, network="dr-internal", ports={"8000/tcp": ("127.0.0.1", PORTS[4])})
        self.listen(PORTS[0])
        bound = self.container("bound", SLEEP, ports={"8000/tcp": ("127.0.0.1", PORTS[0])}, start=False)
        with contextlib.suppress(APIError):
            bound.start()
        self.container("second", SLEEP, ports={"8000/tcp": ("127.0.0.1", PORTS[1])}, start=False)
        with contextlib.suppress(APIError):
            self.engine.containers.get("dr-second").start()
        self.container("unplugged", SLEEP, network="none", ports={"8000/tcp": ("127.0.0.1", PORTS[4])})
        self.container("shut", serve(8000), ports={"8000/tcp": ("127.0.0.1", PORTS[5])})
        self.rule("raw", "OUTPUT", "-p", "tcp", "-d", "127.0.0.1", "--dport", str(PORTS[5]), "-j", "DROP")
        self.container("private", serve(8000), ports={"8000/tcp": ("127.0.0.1", PORTS[6])})

    def rest(self) -> None:
        signalled = self.container("signalled", SLEEP, restart_policy={"Name": "unless-stopped"})
        signalled.kill(signal="HUP")  # which the first process of a container ignores
        self.container("hostmode", serve(PORTS[7], "127.0.0.1"), network="host")
        self.listen(PORTS[8])
        self.container(
            "guest",
            SLEEP,
            extra_hosts={"host.docker.internal": "host-gateway"},
            environment={"API": " ".join(f"http://host.docker.internal:{port}/" for port in PORTS[8:10])},
        )

    def fill_disk(self) -> None:
        """Use up all inodes and all bytes of the state directory's file system."""
        with contextlib.suppress(OSError):
            for number in range(1000):
                (self.state / f"file-{number}").touch()
        with contextlib.suppress(OSError), (self.state / "file-0").open("wb", buffering=0) as file:
            for _ in range(1000):
                file.write(bytes(1 << 16))

    def __enter__(self) -> Sickroom:
        self.state.mkdir()
        shell("mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=40", "tmpfs", str(self.state))
        self.undo.callback(shell, "umount", str(self.state))
        return self

    def __exit__(self, *_: object) -> None:
        self.undo.close()


CONNECT = "import socket; socket.create_connection(('127.0.0.1', 8000))"


def health_of(container: Any) -> str:
    container.reload()
    return container.attrs["State"]["Health"]["Status"]
