"""The Docker Engine: the only file that talks to the SDK. Works from SDK 5.0.3 and API 1.41 on."""

from __future__ import annotations

import contextlib
import functools
import http.client
import importlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from ansible_collections.sse.platform.plugins.module_utils.engine import answers
from ansible_collections.sse.platform.plugins.module_utils.engine.api import SOCKET, Api, RefusedError
from ansible_collections.sse.platform.plugins.module_utils.engine.daemon import open_files_limit
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV6, addresses_of
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed
    from ansible_collections.sse.platform.plugins.module_utils.model.spec import Spec

ENGINE_TIMEOUT = 120  # seconds; a busy engine answers late, and a stop answers only when the container ended
LOG_ROTATION = {"max-size": "10m", "max-file": "3"}  # bounds what one container can write to the disk

Answer = TypeVar("Answer")


class EngineError(RuntimeError):
    """The engine refused, or does not answer."""


def sdk() -> Any:
    """Return the Docker SDK, which the distribution installs with its own types, or none."""
    try:
        return importlib.import_module("docker")
    except ImportError as error:
        raise EngineError(f"the Python Docker SDK is missing ({error}); install python3-docker") from error


@contextlib.contextmanager
def explained(doing: str) -> Generator[None]:
    """Turn the SDK's errors into one line that says what was being done."""
    try:
        yield
    except sdk().errors.DockerException as error:
        raise EngineError(f"{doing}: {getattr(error, 'explanation', None) or error}") from error


class Engine:
    """A connection to the Docker Engine behind one socket."""

    def __init__(self, socket: str = SOCKET) -> None:
        """Make sure that an engine answers; raises EngineError where none does."""
        self.questions = Api(socket)
        self.ask(self.questions.version)

    @functools.cached_property
    def api(self) -> Any:
        """The SDK's client, for what changes something: a run that changes nothing never loads the SDK."""
        with explained("connect to the Docker Engine"):
            return sdk().APIClient(base_url=f"unix://{self.questions.socket}", timeout=ENGINE_TIMEOUT)

    @functools.cached_property
    def open_files(self) -> int:
        """The most open files that a container may ask for."""
        return open_files_limit()

    def ask(self, question: Callable[[], Answer]) -> Answer | None:
        """Return the engine's answer, or None where what was asked for does not exist; raises EngineError."""
        try:
            return question()
        except RefusedError as error:
            if error.status == http.client.NOT_FOUND:
                return None
            raise EngineError(str(error)) from error
        except OSError as error:
            raise EngineError(f"no Docker Engine answers at {self.questions.socket}: {error}") from error

    def containers(self) -> list[Observed]:
        """List all containers of the host, also those that do not run."""
        return answers.from_listing(self.ask(self.questions.containers) or [])

    def inspect(self, container: str) -> Inspected:
        """Return what the engine knows of a container; raises EngineError where it does not exist."""
        found = self.ask(lambda: self.questions.container(container))
        if found is None:
            raise EngineError(f"container {container} is gone: somebody else removed it")
        return found

    def image_id(self, reference: str) -> str | None:
        """Return an image's id on this host, or None where the image is absent."""
        found = self.ask(lambda: self.questions.image(reference))
        return found["Id"] if found else None

    def has_network(self, name: str) -> bool:
        """Tell whether a network of exactly this name exists."""
        found = self.ask(lambda: self.questions.network(name))
        return found is not None and found["Name"] == name

    def networks(self, stack: str) -> dict[str, list[str]]:
        """List the networks that a stack made, each with the names of all its containers, also of stopped ones."""
        made = self.ask(lambda: self.questions.networks(f"{LABEL}stack={stack}")) or []
        found: dict[str, list[str]] = {one["Name"]: [] for one in made}
        for one in self.ask(self.questions.containers) or []:
            for name in found.keys() & (one["NetworkSettings"]["Networks"] or {}).keys():
                found[name].append(answers.name_of(one))
        return found

    def remove_network(self, name: str) -> None:
        """Remove a network."""
        with explained(f"remove network {name}"), contextlib.suppress(sdk().errors.NotFound):
            self.api.remove_network(name)

    def create(self, name: str, spec: Spec, labels: dict[str, str], mounts: dict[str, tuple[str, bool]]) -> str:
        """Create a container, hardened; return its id.

        Every container gets the same policy here: no capabilities but the declared ones, no new privileges, a
        read-only root, limits of memory (no swap), processes and open files, rotated logs, restart unless stopped.

        :param labels: our labels, without prefix; keys with dots are taken as they are
        :param mounts: container path -> (host path, read-only)
        """
        api = self.api
        files = min(spec["open_files"], self.open_files)
        host_config = api.create_host_config(
            binds={source: {"bind": target, "mode": "ro" if ro else "rw"} for target, (source, ro) in mounts.items()},
            cap_drop=["ALL"],
            cap_add=spec["capabilities"] or None,
            security_opt=["no-new-privileges:true"],
            read_only=spec["read_only"],
            tmpfs={path: f"size={size},mode=1777,noexec,nosuid,nodev" for path, size in spec["tmpfs"].items()},
            mem_limit=spec["memory"],
            memswap_limit=spec["memory"],
            pids_limit=spec["pids"],
            ulimits=[sdk().types.Ulimit(name="nofile", soft=files, hard=files)],
            log_config=sdk().types.LogConfig(type="json-file", config=LOG_ROTATION),
            restart_policy={"Name": "unless-stopped"},
            init=spec["init"],
            sysctls=spec["sysctls"] or None,
            group_add=spec["group_add"] or None,
            extra_hosts=spec["hosts"] or None,
            port_bindings=port_bindings(spec),
            network_mode=next(iter(spec["networks"])),
        )
        endpoints = {
            network: {
                "ipv4_address": address or None,
                "ipv6_address": addresses_of(spec, IPV6).get(network) or None,
                "aliases": spec["aliases"],
            }
            for network, address in spec["networks"].items()
        }
        # Before API 1.44 a container is created on one network; it joins the others before it starts.
        (first, endpoint), *others = endpoints.items()
        with explained(f"create {name}"):
            made: str = api.create_container(
                spec["image"],
                name=name,
                hostname=spec["container"],
                entrypoint=spec["entrypoint"],
                command=spec["command"],
                user=spec["user"],
                environment=spec["environment"],
                labels={key if "." in key else LABEL + key: value for key, value in labels.items()},
                ports=[(one["container_port"], "tcp") for one in spec["ports"]],
                stop_signal=spec["stop_signal"],
                host_config=host_config,
                healthcheck=engine_healthcheck(spec["healthcheck"]),
                networking_config=api.create_networking_config({first: api.create_endpoint_config(**endpoint)}),
            )["Id"]
        try:
            with explained(f"connect {name} to its networks"):
                for network, endpoint in others:
                    api.connect_container_to_network(made, network, **endpoint)
        except EngineError:
            self.remove(made)
            raise
        return made

    def start(self, container: str) -> None:
        """Start a container, or wake a paused one."""
        with explained(f"start {container}"):
            if self.inspect(container)["State"]["Paused"]:
                self.api.unpause(container)
            else:
                self.api.start(container)

    def stop(self, container: str, timeout: int) -> None:
        """Stop a container: its stop signal, then, after ``timeout`` seconds, KILL."""
        with explained(f"stop {container}"):
            if self.inspect(container)["State"]["Paused"]:
                self.api.unpause(container)
            self.api.stop(container, timeout=timeout)

    def rename(self, container: str, name: str) -> None:
        """Rename a container."""
        with explained(f"rename {container} to {name}"):
            self.api.rename(container, name)

    def remove(self, container: str) -> None:
        """Remove a container; its data stands in host directories and stays."""
        with explained(f"remove {container}"), contextlib.suppress(sdk().errors.NotFound):
            self.api.remove_container(container, v=True, force=True)

    def last_lines(self, container: str, lines: int = 20) -> list[str]:
        """Return the last lines that a container wrote."""
        with explained(f"read the log of {container}"):
            return self.api.logs(container, tail=lines).decode(errors="replace").splitlines()

    def execute(self, container: str, command: list[str], timeout: float = ENGINE_TIMEOUT) -> tuple[int, str]:
        """Run a command in a container; return its exit code and output.

        :param timeout: seconds after which it is killed, as the engine does with a check
        """
        late = threading.Event()

        def end() -> None:
            late.set()
            with contextlib.suppress(sdk().errors.DockerException, ProcessLookupError):
                pid = self.api.exec_inspect(made["Id"])["Pid"]  # as this host counts
                if pid:
                    os.kill(pid, signal.SIGKILL)

        with explained(f"run {command[0]} in {container}"):
            made = self.api.exec_create(container, command)
            timer = threading.Timer(timeout, end)
            timer.start()
            try:
                output = self.api.exec_start(made["Id"])
            finally:
                timer.cancel()
            code = self.api.exec_inspect(made["Id"])["ExitCode"]
        if late.is_set():
            return 1, f"no answer within {timeout:g} s"
        return (1 if code is None else code), output.decode(errors="replace").strip()


def port_bindings(spec: Spec) -> dict[int, list[tuple[str, int]]]:
    """Group published ports by container port; one container port may stand behind several host ports."""
    bindings: dict[int, list[tuple[str, int]]] = {}
    for one in spec["ports"]:
        bindings.setdefault(one["container_port"], []).append((one["host_ip"], one["host_port"]))
    return bindings


def engine_healthcheck(check: dict[str, Any]) -> dict[str, Any]:
    """Translate our healthcheck; one that is probed from the host switches off what the image brings."""
    if check["command"] is None:
        return {"test": ["NONE"]}
    second = 10**9  # the engine counts in nanoseconds
    return {
        "test": ["CMD", *check["command"]],
        "interval": check["interval"] * second,
        "timeout": check["timeout"] * second,
        "retries": check["retries"],
        "start_period": check["start"] * second,
    }
