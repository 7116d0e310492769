# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The Docker Engine, asked and changed: the only file that uses the Docker SDK (5.0.3 or later; API 1.41 or later)."""

from __future__ import annotations

import contextlib
import functools
import http.client
import importlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from ansible_collections.sse.platform.plugins.module_utils.engine import answers
from ansible_collections.sse.platform.plugins.module_utils.engine.api import SOCKET, Api, RefusedError
from ansible_collections.sse.platform.plugins.module_utils.engine.daemon import open_files_limit
from ansible_collections.sse.platform.plugins.module_utils.model import engine_api
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV6, addresses_of
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL
from ansible_collections.sse.platform.plugins.module_utils.model.repair import RESTART_POLICY

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed
    from ansible_collections.sse.platform.plugins.module_utils.model.types import HealthCheck, Network, Pool, Spec

ENGINE_TIMEOUT = 120  # seconds; a busy engine answers late, and a stop is answered only when the container ended
EARLY_SECONDS = 3  # between two health checks of a container that starts
LOG_ROTATION = {"max-size": "10m", "max-file": "3"}  # a container's log takes at most 30 MB of the disk

Answer = TypeVar("Answer")
Mounts = dict[str, tuple[str, bool]]  # path in the container -> path on the host, and whether it is read-only


class EngineError(RuntimeError):
    """The engine refused a request, or does not answer."""


def sdk() -> Any:
    """Import the Docker SDK; the distributions' versions of it have different types, or none."""
    try:
        return importlib.import_module("docker")
    except ImportError as error:
        raise EngineError(f"the Python Docker SDK is missing ({error}); install python3-docker") from error


@contextlib.contextmanager
def explained(doing: str) -> Generator[None]:
    """Turn an error of the SDK into an EngineError that says what was being done."""
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
            # Older SDKs ask for a version of the API that newer engines have no more.
            return sdk().APIClient(base_url=f"unix://{self.questions.socket}", version="auto", timeout=ENGINE_TIMEOUT)

    @functools.cached_property
    def open_files(self) -> int:
        """The most open files that a container may ask for."""
        return open_files_limit()

    @functools.cached_property
    def runtime(self) -> str | None:
        """The runtime that containers need to be named, where the engine's default is none that shares its kernel."""
        info: answers.Info = self.ask(self.questions.info) or {}
        usual = info.get("DefaultRuntime", "") in {"", "runc", "crun"}
        return None if usual or "runc" not in (info.get("Runtimes") or {}) else "runc"

    def ask(self, question: Callable[[], Answer]) -> Answer | None:
        """Return the engine's answer, or None where what was asked for does not exist; raises EngineError."""
        try:
            return question()
        except RefusedError as error:
            if error.status == http.client.NOT_FOUND:
                return None
            raise EngineError(str(error)) from error
        except OSError as error:
            asked = "Is the engine running? `./sse up` starts it"
            raise EngineError(f"no Docker Engine answers at {self.questions.socket}: {error}. {asked}") from error

    def containers(self) -> list[Observed]:
        """List all containers of the host, also those that do not run."""
        return answers.from_listing(self.ask(self.questions.containers) or [])

    def inspect(self, container: str) -> Inspected:
        """Return what the engine knows of a container; raises EngineError where it does not exist."""
        found = self.ask(lambda: self.questions.container(container))
        if found is None:
            raise EngineError(f"container {container} is not there: it was removed, and `./sse up` makes it again")
        return found

    def image_id(self, reference: str) -> str | None:
        """Return an image's id on this host, or None where the image is absent."""
        found = self.ask(lambda: self.questions.image(reference))
        return found["Id"] if found else None

    def digests(self, reference: str) -> list[str]:
        """Return the digests of an image in the registries that it came from; an image that was built here has none."""
        found = self.ask(lambda: self.questions.image(reference)) if reference else None
        return (found["RepoDigests"] or []) if found else []

    def images(self) -> list[answers.ListedImage]:
        """List all images that no other one is built on, and all that have a tag."""
        return self.ask(self.questions.images) or []

    def images_in_use(self) -> set[str]:
        """Return what the containers of the host, also those that do not run, call their images."""
        return {one["Image"] for one in self.ask(self.questions.containers) or []}

    def image_tags(self) -> list[str]:
        """List the tags of all images."""
        return [tag for one in self.images() for tag in one["RepoTags"] or ()]

    def tag(self, image: str, tag: str) -> None:
        """Give an image another tag."""
        repository, __, version = tag.rpartition(":")
        with explained(f"tag {image} as {tag}"):
            self.api.tag(image, repository, version)

    def untag(self, tag: str) -> None:
        """Remove a tag, or an image that has none by its id. An image goes where nothing else names or runs it."""
        with explained(f"remove the tag {tag}"), contextlib.suppress(sdk().errors.NotFound):
            self.api.remove_image(tag)

    def has_network(self, name: str) -> bool:
        """Tell whether a network of exactly this name exists."""
        found = self.ask(lambda: self.questions.network(name))
        return found is not None and found["Name"] == name

    def networks(self, stack: str) -> dict[str, list[str]]:
        """List the networks that a stack made, each with the names of all its containers, also of stopped ones."""
        made = self.ask(lambda: self.questions.networks(f"{LABEL}stack={stack}")) or []
        found: dict[str, list[str]] = {one["Name"]: [] for one in made}
        for one in self.ask(self.questions.containers) or []:
            for name in found.keys() & answers.networks_of(one).keys():
                found[name].append(answers.name_of(one))
        return found

    def network_ids(self) -> dict[str, str]:
        """Return the id of each network, by name."""
        return {one["Name"]: one["Id"] for one in self.ask(self.questions.networks) or []}

    def kept_limits(self) -> set[str]:
        """Return which limits of `repair.limits` this host's kernel keeps; the engine drops the others."""
        info: answers.Info = self.ask(self.questions.info) or {}
        kernel = {"memory": "MemoryLimit", "memory_swap": "SwapLimit", "pids": "PidsLimit", "cpu_shares": "CPUShares"}
        return {"restart"} | {name for name, flag in kernel.items() if info.get(flag, True)}

    def update(self, container: str, limits: dict[str, int | str]) -> None:
        """Change limits of a container in place, also of one that runs (`repair.limits` holds their names)."""
        words = {"memory": "Memory", "memory_swap": "MemorySwap", "pids": "PidsLimit", "cpu_shares": "CpuShares"}
        changes: dict[str, object] = {word: limits[name] for name, word in words.items() if name in limits}
        if "restart" in limits:
            changes["RestartPolicy"] = {"Name": limits["restart"]}
        self.ask(lambda: self.questions.update(container, changes))

    def connect(self, container: str, network: str, spec: Spec) -> None:
        """Give a container its place on a network, with its address and aliases, whatever its place there was."""
        self.disconnect(container, network)
        with explained(f"connect {spec['container']} to {network}"):
            self.api.connect_container_to_network(container, network, **endpoints(spec)[network])

    def disconnect(self, container: str, network: str) -> None:
        """Take a container off a network, also where the network is gone."""
        if network in answers.all_networks(self.inspect(container)):
            with explained(f"disconnect from {network}"), contextlib.suppress(sdk().errors.NotFound):
                self.api.disconnect_container_from_network(container, network, force=True)

    def empty_network(self, name: str) -> None:
        """Take all containers off a network."""
        for one in self.ask(self.questions.containers) or []:
            if name in answers.networks_of(one):
                self.disconnect(one["Id"], name)

    def device(self, name: str) -> str:
        """Return what the bridge of a network was asked to be called; empty where there is none with such a name."""
        present = self.ask(lambda: self.questions.network(name))
        return ((present and present["Options"]) or {}).get("com.docker.network.bridge.name", "")

    def make_network(self, network: Network, stack: str, mtu: int | None) -> None:
        """Make a network of a stack.

        :param mtu: the largest packet in bytes, where that is not the engine's own
        """
        pools: list[Pool] = [network, *([network["ipv6"]] if "ipv6" in network else [])]
        options = {"com.docker.network.bridge.name": network["device"]}
        wanted: dict[str, Any] = {
            "Name": network["name"],
            "CheckDuplicate": True,  # engines before 25 make a second network of the same name
            "Driver": network["driver"],
            "Internal": network["internal"],
            "EnableIPv6": "ipv6" in network,
            "IPAM": {"Config": [pool_config(one) for one in pools]},
            "Options": options | ({"com.docker.network.driver.mtu": str(mtu)} if mtu else {}),
            "Labels": {f"{LABEL}stack": stack},
        }
        self.ask(lambda: self.questions.make_network(wanted))

    def remove_network(self, name: str) -> None:
        """Remove a network, if it exists."""
        with explained(f"remove network {name}"), contextlib.suppress(sdk().errors.NotFound):
            self.api.remove_network(name)

    def create(self, name: str, spec: Spec, labels: dict[str, str], mounts: Mounts) -> str:
        """Create a container from its spec, with the limits of `host_config`; return its id.

        :param labels: our labels without their prefix; a key with a dot is taken as it is
        :raises EngineError: where the engine refuses it; nothing of it is left then
        """
        # A reference may name another image by now, and people read it: so the id stands for it only where it has to.
        pinned = spec.get("image_id") or spec["image"]
        image = spec["image"] if self.image_id(spec["image"]) == pinned else pinned
        # Before API 1.44 a container is created on one network. It joins the others before it starts.
        (first, endpoint), *others = endpoints(spec).items()
        with explained(f"create {name}"):
            config = self.api.create_container_config(
                image,
                hostname=spec["container"],
                entrypoint=spec["entrypoint"],
                command=spec["command"],
                user=spec["user"],
                environment=[f"{key}={value}" for key, value in spec["environment"].items()],
                labels={key if "." in key else LABEL + key: value for key, value in labels.items()},
                ports=[(one["container_port"], "tcp") for one in spec["ports"]],
                stop_signal=spec["stop_signal"],
                stop_timeout=spec["stop_timeout"],
                host_config=self.host_config(spec, mounts),
                healthcheck=engine_healthcheck(spec["healthcheck"]),
                networking_config=self.api.create_networking_config(
                    {first: self.api.create_endpoint_config(**endpoint)}
                ),
            )
            # Python's docker knows no early phase of health checks, so it is added here.
            config["Healthcheck"].update(early_checks(spec["healthcheck"], self.api.api_version))
            # Not create_container(): it would add the proxies of the client's config.json, which may hold a password.
            made: str = self.api.create_container_from_config(config, name)["Id"]
        try:
            with explained(f"connect {name} to its networks"):
                for network, endpoint in others:
                    self.api.connect_container_to_network(made, network, **endpoint)
        except EngineError:
            self.remove(made)
            raise
        return made

    def host_config(self, spec: Spec, mounts: Mounts) -> object:
        """Return what a container may use of the host; every container gets the same policy.

        It has no capabilities but the declared ones, gains no privileges, and has a read-only root file system, limits
        of memory (without swap), processes and open files, a weight of processor time, and a bounded log. No process of
        it leaves a core dump, which would hold its secrets. It restarts unless somebody stopped it.
        """
        files = min(spec["open_files"], self.open_files)
        ulimits = {"nofile": files, "core": 0}
        return self.api.create_host_config(
            binds={source: {"bind": target, "mode": "ro" if ro else "rw"} for target, (source, ro) in mounts.items()},
            cap_drop=["ALL"],
            cap_add=spec["capabilities"] or None,
            security_opt=["no-new-privileges:true"],
            read_only=spec["read_only"],
            tmpfs={path: f"size={size},mode=1777,noexec,nosuid,nodev" for path, size in spec["tmpfs"].items()},
            mem_limit=spec["memory"],
            memswap_limit=spec["memory"],
            pids_limit=spec["pids"],
            cpu_shares=spec.get("cpu_shares"),
            ulimits=[sdk().types.Ulimit(name=name, soft=most, hard=most) for name, most in ulimits.items()],
            log_config=sdk().types.LogConfig(type="json-file", config=LOG_ROTATION),
            restart_policy={"Name": RESTART_POLICY},
            init=spec["init"],
            runtime=self.runtime,
            sysctls=spec["sysctls"] or None,
            group_add=spec["group_add"] or None,
            extra_hosts=spec["hosts"] or None,
            port_bindings=port_bindings(spec),
            network_mode=next(iter(spec["networks"])),
        )

    def start(self, container: str) -> None:
        """Start a container, or resume a paused one."""
        with explained(f"start {container}"):
            if self.inspect(container)["State"]["Paused"]:
                self.api.unpause(container)
            else:
                self.api.start(container)

    def stop(self, container: str, timeout: int) -> None:
        """Stop a container by its stop signal; kill it after ``timeout`` seconds."""
        with explained(f"stop {container}"):
            if self.inspect(container)["State"]["Paused"]:
                self.api.unpause(container)
            self.api.stop(container, timeout=timeout)

    def rename(self, container: str, name: str) -> None:
        """Rename a container."""
        with explained(f"rename {container} to {name}"):
            self.api.rename(container, name)

    def remove(self, container: str) -> None:
        """Remove a container, if it exists. Its data stays: it is in directories of the host."""
        with explained(f"remove {container}"), contextlib.suppress(sdk().errors.NotFound):
            self.api.remove_container(container, v=True, force=True)

    def try_out(self, name: str, spec: Spec, labels: dict[str, str], mounts: Mounts, seconds: float) -> tuple[int, str]:
        """Run a container to its end, on no network and with no port; return its exit code and output.

        It has the names in /etc/hosts that its spec has. It is removed afterwards.

        :param seconds: after so many it is killed
        """
        alone: Spec = {**spec, "networks": {"none": ""}, "networks6": {}, "aliases": [], "ports": []}
        made = self.create(name, alone, labels, mounts)
        try:
            with explained(f"run {name}"):
                self.api.update_container(made, restart_policy={"Name": "no"})
                self.api.start(made)
                ends = time.monotonic() + seconds
                while (state := self.inspect(made)["State"])["Running"]:
                    if time.monotonic() > ends:
                        return 1, f"no end within {seconds:g} s"
                    time.sleep(0.05)
                return state["ExitCode"], self.api.logs(made).decode(errors="replace").strip()
        finally:
            self.remove(made)

    def signal(self, container: str, name: str) -> int:
        """Send a signal to the first process of a container; return that process, as this host counts.

        The engine's own way to send a signal also takes the container's restart policy away.
        """
        pid = self.inspect(container)["State"]["Pid"]
        if not pid:
            raise EngineError(f"send {name} to {container}: it does not run")
        try:
            os.kill(pid, signal.Signals[name])
        except OSError as error:
            raise EngineError(f"send {name} to {container}: {error}") from error
        return pid

    def lines_since(self, container: str, moment: float) -> list[str]:
        """Return what a container wrote since a moment (seconds since the epoch)."""
        return self.ask(lambda: self.questions.log(container, 1000, moment)) or []

    def last_lines(self, container: str, lines: int = 20) -> list[str]:
        """Return the last lines that a container wrote."""
        with explained(f"read the log of {container}"):
            return self.api.logs(container, tail=lines).decode(errors="replace").splitlines()

    def execute(self, container: str, command: list[str], timeout: float = ENGINE_TIMEOUT) -> tuple[int, str]:
        """Run a command in a container; return its exit code and output.

        :param timeout: seconds after which the command is killed, as the engine does with a health check
        """
        late = threading.Event()

        def kill() -> None:
            late.set()
            with contextlib.suppress(sdk().errors.DockerException, ProcessLookupError):
                pid = self.api.exec_inspect(made["Id"])["Pid"]  # as this host counts
                if pid:
                    os.kill(pid, signal.SIGKILL)

        with explained(f"run {command[0]} in {container}"):
            made = self.api.exec_create(container, command)
            timer = threading.Timer(timeout, kill)
            timer.start()
            try:
                output = self.api.exec_start(made["Id"])
            finally:
                timer.cancel()
            code = self.api.exec_inspect(made["Id"])["ExitCode"]
        if late.is_set():
            return 1, f"no answer within {timeout:g} s"
        return (1 if code is None else code), output.decode(errors="replace").strip()


def endpoints(spec: Spec) -> dict[str, dict[str, object]]:
    """Return a container's addresses and aliases on each of its networks, as the SDK takes them."""
    addresses6 = addresses_of(spec, IPV6)
    return {
        network: {
            "ipv4_address": address or None,
            "ipv6_address": addresses6.get(network) or None,
            "aliases": spec["aliases"],
        }
        for network, address in spec["networks"].items()
    }


def pool_config(pool: Pool) -> dict[str, str]:
    """Return a pool of a network in the words of the engine, without what the engine chooses itself."""
    words = {"Subnet": pool["subnet"], "Gateway": pool["gateway"], "IPRange": pool["ip_range"]}
    return {word: value for word, value in words.items() if value}


def port_bindings(spec: Spec) -> dict[int, list[tuple[str, int]]]:
    """Group a container's published ports by container port; one of them may have several ports of the host."""
    bindings: dict[int, list[tuple[str, int]]] = {}
    for one in spec["ports"]:
        bindings.setdefault(one["container_port"], []).append((one["host_ip"], one["host_port"]))
    return bindings


def engine_healthcheck(check: HealthCheck) -> dict[str, object]:
    """Return a health check as the SDK takes it; the host makes HTTP checks, so the engine then makes none."""
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


def early_checks(check: HealthCheck, api_version: str) -> dict[str, int]:
    """Have the engine check a container that starts more often, until it is healthy for the first time.

    Engine 25 (API 1.44) and later can do that. Others first check after one interval. No run waits for it: a run asks
    by itself.
    """
    if check["command"] is None or not engine_api.has(api_version, engine_api.EARLY_CHECKS):
        return {}
    return {"StartInterval": min(check["interval"], EARLY_SECONDS) * 10**9}
