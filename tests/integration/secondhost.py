"""A second host on this kernel, with its own mounts, network and engine, and a neighbour that scans it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
from ansible_collections.sse.platform.plugins.module_utils.host import iptables, listeners, namespace, tcp
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV6
from ansible_collections.sse.platform.tests import engine_file
from ansible_collections.sse.platform.tests.integration.stack import ROOT, Stack, eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

SUPERVISE = ROOT / "roles/docker/files/supervise-dockerd"
ENGINE = "/var/lib/sse.platform/engine"  # the role docker makes it where it installed the engine
HOST4, NEIGHBOUR4 = "10.251.91.1", "10.251.91.2"
# Unique local addresses, in place of global ones, on a cable that only this test uses.
HOST6, NEIGHBOUR6 = "fd5e:7e57:0:91::1", "fd5e:7e57:0:91::2"
# The directories that an engine and the platform write, and that the host of this test has for itself.
HIDDEN = ("/etc/docker", "/var/lib/docker", "/var/lib/sse.platform", "/var/log")


def shell(*command: str, **options: Any) -> str:
    """Run a command that must succeed; return what it printed."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, **options).stdout


class SecondHost:
    """The host, its engine, and the neighbour on the other end of its cable."""

    def __init__(self, name: str) -> None:
        """Start it, with an engine that has no configuration."""
        self.name = name
        self.directory = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        for space in (name, f"{name}-out"):
            with contextlib.suppress(subprocess.CalledProcessError):  # they exist where a run before was killed
                shell("ip", "netns", "del", space)
            shell("ip", "netns", "add", space)
        mounts = [f"mount --bind {self.directory}{path} {path}" for path in HIDDEN]
        for path in HIDDEN:
            Path(f"{self.directory}{path}").mkdir(parents=True)
        script = "; ".join(
            ["set -e", "mkdir -p " + " ".join(HIDDEN), *mounts, "mount -t tmpfs tmpfs /run", "exec sleep inf"]
        )
        # Not `ip netns exec`: that mounts another /sys, without cgroups.
        net = f"--net=/run/netns/{name}"
        self.holder = subprocess.Popen(["nsenter", net, "unshare", "-m", "sh", "-c", script], stdout=subprocess.DEVNULL)
        self.neighbour = subprocess.Popen(["nsenter", f"{net}-out", "sleep", "inf"], stdout=subprocess.DEVNULL)
        for holder in (self.holder, self.neighbour):
            eventually(
                lambda pid=holder.pid: Path(f"/proc/{pid}/comm").read_text() == "sleep\n", "a namespace's holder"
            )
        self.enter = ("nsenter", "-t", str(self.holder.pid), "-m", "-n")
        self.lay_cable()
        self.run("sh", str(SUPERVISE), "start")
        eventually(self.answers, "the engine")
        self.engine = docker.DockerClient(f"unix:///proc/{self.holder.pid}/root/run/docker.sock", timeout=120)

    def lay_cable(self) -> None:
        """Connect the two. Each is the default route of the other, so that the neighbour may try any address."""
        out = f"{self.name}-out"
        shell("ip", "-n", self.name, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", out)
        for space in (self.name, out):
            for device in ("lo", "eth0"):
                shell("ip", "-n", space, "link", "set", device, "up")
        for space, own, other in ((self.name, HOST4, NEIGHBOUR4), (out, NEIGHBOUR4, HOST4)):
            shell("ip", "-n", space, "addr", "add", f"{own}/30", "dev", "eth0")
            shell("ip", "-n", space, "route", "add", "default", "via", other)
        self.lay_ipv6()

    def lay_ipv6(self) -> None:
        """Do the same for IPv6, which the host loses where IPv6 is switched off."""
        for space, own, other in ((self.name, HOST6, NEIGHBOUR6), (f"{self.name}-out", NEIGHBOUR6, HOST6)):
            shell("ip", "-n", space, "addr", "replace", "::1/128", "dev", "lo")
            shell("ip", "-n", space, "addr", "replace", f"{own}/64", "dev", "eth0", "nodad")
            shell("ip", "-n", space, "-6", "route", "replace", "default", "via", other)

    def run(self, *command: str) -> str:
        """Run a command on the host."""
        return shell(*self.enter, *command)

    def answers(self) -> bool:
        """Tell whether its engine answers."""
        with contextlib.suppress(subprocess.CalledProcessError):
            return bool(self.run("docker", "version"))
        return False

    def load(self, images: Iterable[str]) -> None:
        """Copy images of this machine into its engine."""
        save = subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE)
        subprocess.run([*self.enter, "docker", "load", "-q"], stdin=save.stdout, check=True, capture_output=True)
        assert save.wait() == 0

    def configure(self, **keys: Any) -> None:
        """Configure the engine as the role docker does, and restart it. The role itself needs internet for packages."""
        keys = {**engine_file.written(engine_file.ABSENT), **keys}
        Path(f"{self.directory}/etc/docker/daemon.json").write_text(json.dumps(keys))
        self.run("mkdir", "-p", ENGINE)
        self.restart_engine()

    def place6(self) -> iptables.Place:
        """Return where the chain of IPv6 is called on the host."""
        found = namespace.inside(self.holder.pid, lambda: iptables.place(IPV6))
        assert found
        return found

    def restart_engine(self) -> None:
        """Restart the engine. With live-restore its containers keep running."""
        pid = self.run("cat", "/run/docker.pid").strip()
        self.run("kill", "-TERM", pid)
        eventually(lambda: not Path(f"/proc/{pid}").exists(), "the engine's end")
        eventually(self.answers, "the engine")

    def cut_power(self) -> None:
        """Kill every process of the host at once, with its containers, and empty /run as a boot does."""
        space = Path(f"/proc/{self.holder.pid}/ns/mnt").readlink()
        pids = [int(one.attrs["State"]["Pid"]) for one in self.engine.containers.list()]
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended
                if (entry / "ns/mnt").readlink() == space and int(entry.name) != self.holder.pid:
                    pids.append(int(entry.name))
        # The supervisor and the engine are older than their containers: nothing starts one again.
        for pid in sorted(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # The network namespaces of the containers are mounted there.
        gone = (
            "umount -l /run/docker/netns/* 2>/dev/null; rm -rf /run/docker* /run/containerd /run/supervise-dockerd.pid"
        )
        self.run("sh", "-c", f"{gone}; true")
        assert not self.answers()

    def answering(self, pid: int, targets: Iterable[tcp.Target]) -> set[tcp.Target]:
        """Connect to all targets from the network of a process, and return those that answer."""
        found = namespace.inside(pid, lambda: tcp.connect_all(targets))
        return {target for target, attempt in found.items() if not attempt.error}

    def listening(self) -> set[tuple[str, int]]:
        """List the addresses and ports of the host on which somebody listens."""
        return {(one.address, one.port) for one in listeners.listeners(self.holder.pid)}

    def shut_down(self) -> None:
        """End the host and everything on it."""
        for container in self.engine.containers.list(all=True):
            container.remove(force=True)
        self.run("sh", str(SUPERVISE), "stop")
        for holder in (self.holder, self.neighbour):
            holder.kill()
            holder.wait()
        for space in (self.name, f"{self.name}-out"):
            shell("ip", "netns", "del", space)
        shutil.rmtree(self.directory)


class SecondStack(Stack):
    """A stack on the second host."""

    def __init__(self, host: SecondHost, name: str, subnet: str, **variables: Any) -> None:
        super().__init__(name, subnet, 18280, **variables)
        self.engine, self.enter = host.engine, host.enter
