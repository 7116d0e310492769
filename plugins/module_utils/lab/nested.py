# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A throwaway Docker Engine inside a container: a Swarm of the lab never touches the engine of the host."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path

from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError, explained
from ansible_collections.sse.platform.plugins.module_utils.lab.kit import Container, Lab, SkippedError, namespace_of

READY_SECONDS = 40.0  # until the engine answers
# What an engine needs in a container that is not --privileged, which not every host allows.
HOST_CONFIG = {
    "cap_add": ["ALL"],
    "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
    "device_cgroup_rules": ["a *:* rwm"],
    "tmpfs": {"/run": ""},
    "mem_limit": 2**30,  # bytes
}
UNMASKED: dict[str, list[str]] = {"MaskedPaths": [], "ReadonlyPaths": []}  # --security-opt systempaths=unconfined
START = "for m in /sys /sys/fs/cgroup /sys/fs/cgroup/*; do mount -o remount,rw,bind $m; done; exec dockerd"
# Some hosts lack this capability. An old engine fails there when it grants "ALL", unless this one is dropped; a new
# engine refuses to drop what the host lacks.
LACKED = "SYS_RESOURCE"


class NestedEngine:
    """A Docker Engine inside a container of the lab."""

    def __init__(self, lab: Lab) -> None:
        """Start it, wait until it answers, and load the image of the lab into it.

        :raises SkippedError: where there is no image of an engine, or the engine does not start
        """
        if not lab.engine_image:
            raise SkippedError(
                "it needs a throwaway engine: name an image with one, such as docker:dind, as lab_engine_image"
            )
        self.lab = lab
        try:
            self.container = self.start([LACKED])
        except EngineError as error:
            if "CapDrop" not in str(error):
                raise
            self.container = self.start([])
        self.wait()
        self.load(lab.image)

    def start(self, cap_drop: list[str]) -> Container:
        """Start the container."""
        config = self.lab.api.create_host_config(**HOST_CONFIG, cap_drop=cap_drop) | UNMASKED
        return self.lab.start("engine", ["sh", "-c", START], config, self.lab.engine_image, volumes=["/var/lib/docker"])

    def docker(self, *arguments: str) -> str:
        """Run its own ``docker`` command, and return the output.

        :raises SkippedError: where the command fails: this host cannot show what the command would do
        """
        code, output = self.lab.engine.execute(self.container.id, ["docker", *arguments])
        if code:
            raise SkippedError(f"the throwaway engine says to docker {arguments[0]}: {' '.join(output.split())[:300]}")
        return output

    def wait(self) -> None:
        """Wait until it answers."""
        engine, container = self.lab.engine, self.container.id
        until = time.monotonic() + READY_SECONDS
        while engine.execute(container, ["docker", "info"])[0]:
            if time.monotonic() > until or engine.inspect(container)["State"]["Status"] != "running":
                last = engine.last_lines(container, 1)
                raise SkippedError(f"the throwaway engine of {self.lab.engine_image} does not start: {last}")
            time.sleep(0.2)  # an engine sends no message when it is ready

    def load(self, image: str) -> None:
        """Copy an image of the outer engine into it."""
        with explained(f"hand {image} to the throwaway engine"):
            saved = self.lab.api.get_image(image)
            command = ["docker", "exec", "-i", self.container.id, "docker", "load"]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as load:
                for part in saved:
                    if load.stdin:
                        load.stdin.write(part)

    def process(self, name: str) -> int:
        """Return the process id, as the host counts, of the first process of one of its containers.

        The line NSpid in /proc/PID/status has the id in each of three nested namespaces (proc_pid_status(5)).
        """
        inside = self.docker("inspect", "-f", "{{.State.Pid}}", name).strip()
        own_mounts = namespace_of(self.container.pid, "mnt")
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                lines = status.read_text().splitlines()
                numbers = next((line for line in lines if line.startswith("NSpid:")), "").split()[1:]
                if len(numbers) == 3 and numbers[1] == inside and namespace_of(numbers[0], "mnt") != own_mounts:
                    return int(numbers[0])
        raise SkippedError(f"this host does not show the process of {name}")
