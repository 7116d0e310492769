"""A stack of small containers on the engine of this machine, run by the module's own code in this process."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import docker
from ansible_collections.sse.platform.plugins.module_utils.deploy import drift, removal, rollout
from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, RunMeta
from ansible_collections.sse.platform.tests.stacks.pairs import STACK, Drawn
from docker.types import IPAMConfig, IPAMPool

ASKED: RunMeta = {"asked": "up", "who": "it", "where": "", "when": "", "commit": "", "why": "", "given": {}}
EVENT_SECONDS = 30  # until the engine tells what happened
QUIET = ("exec_", "health_status")  # what the engine says of a container that nobody touches


class Seen(NamedTuple):
    """One container before or after a run."""

    id: str
    started: str
    lines: str  # of its log


class Small:
    """The engine of this machine, with the stack of the pairs."""

    def __init__(self, state: Path, images: dict[str, str]) -> None:
        self.state = state
        self.images = images
        self.engine: Any = docker.from_env()

    def request(
        self, release: Release, drawn: Drawn, *, check: bool, to_make: set[str], parallel: int = 4
    ) -> rollout.Report:
        """Run a release, or only plan it."""
        report = rollout.Report()
        request = rollout.Request([release], str(self.state), drawn.secrets, [], parallel, ASKED, check)
        try:
            rollout.run(dataclasses.replace(request, networks_to_make=to_make), report)
        finally:
            report.record()
        return report

    def containers(self) -> dict[str, Any]:
        """Return the stack's containers by name."""
        label = f"sse.platform.stack={STACK}"
        return {one.name: one for one in self.engine.containers.list(all=True, filters={"label": label})}

    def seen(self) -> dict[str, Seen]:
        """Look at every container."""
        return {
            name: Seen(one.id, one.attrs["State"]["StartedAt"], one.logs().decode())
            for name, one in self.containers().items()
        }

    @contextlib.contextmanager
    def events(self) -> Iterator[list[tuple[str, str, str]]]:
        """Give what happens to the stack's containers while the block runs: id, name and action, in order.

        The engine remembers 256 events, which a busy machine has within seconds: so they are read as they happen.
        """
        stream = self.engine.events(decode=True, filters={"type": "container", "label": f"sse.platform.stack={STACK}"})
        found: list[tuple[str, str, str]] = []
        last = f"true {uuid.uuid4().hex}"

        def follow() -> None:
            for one in stream:
                if last in one["Action"]:
                    return
                if not one["Action"].startswith(QUIET):
                    found.append((one["Actor"]["ID"], one["Actor"]["Attributes"]["name"], one["Action"]))

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        yield found
        self.engine.api.exec_create(next(iter(self.containers())), last)
        thread.join(EVENT_SECONDS)
        assert not thread.is_alive()

    def missing_networks(self, release: Release) -> set[str]:
        """Return the networks of a release that are not there."""
        return set(release["networks"]) - {one.name for one in self.engine.networks.list()}

    def make_networks(self, release: Release, names: set[str]) -> None:
        """Make networks as role `network` does."""
        for name in names:
            one = release["networks"][name]
            self.engine.networks.create(
                name,
                internal=one["internal"],
                options={"com.docker.network.bridge.name": one["device"]},
                labels={"sse.platform.stack": STACK},
                ipam=IPAMConfig(
                    pool_configs=[IPAMPool(subnet=one["subnet"], gateway=one["gateway"], iprange=one["ip_range"])]
                ),
            )

    def drift(self) -> list[str]:
        """Say what differs from the release that was applied."""
        return [one.wrong for one in drift.find(STACK, str(self.state))]

    def tear_down(self) -> None:
        """Remove everything of the stack."""
        with contextlib.suppress(removal.NoStackError):
            removal.tear_down(STACK, str(self.state), 4, delete_data=True, check=False)


def there(small: Small, release: Release, drawn: Drawn) -> None:
    """Judge that the engine and the disk have what is declared."""
    found = small.containers()
    assert found.keys() == release["containers"].keys()
    for name, container in found.items():
        attrs, spec = container.attrs, release["containers"][name]
        one = drawn.containers[spec["container"]]
        config, limits = attrs["Config"], attrs["HostConfig"]
        assert container.status == "running"
        assert attrs["Image"] == small.engine.images.get(small.images[one["image"]]).id
        assert [*config["Entrypoint"], *config["Cmd"]] == ["sh", "-c", *map(str, one["command"])]
        assert {f"{key}={value}" for key, value in one.get("environment", {}).items()} <= set(config["Env"] or [])
        assert (config["User"], limits["Memory"], limits["MemorySwap"]) == (one["user"], *[spec["memory"]] * 2)
        assert limits["PidsLimit"] == one["pids"]
        assert sorted(limits["CapAdd"] or []) == sorted(one.get("capabilities", []))
        assert limits["ReadonlyRootfs"] == one["read_only"]
        assert (limits.get("Sysctls") or {}) == {key: str(value) for key, value in one.get("sysctls", {}).items()}
        assert (limits.get("GroupAdd") or []) == one.get("group_add", [])
        assert limits["RestartPolicy"]["Name"] == "unless-stopped"
        bound = [int(each["HostPort"]) for each in (limits["PortBindings"] or {}).get("8000/tcp", [])]
        assert bound == [each["host_port"] for each in one["ports"]]
        joined = attrs["NetworkSettings"]["Networks"]
        if one["address"] is not None:
            ends = {int(each["IPAddress"].rpartition(".")[2]) for key, each in joined.items() if "-ports" not in key}
            assert ends == {one["address"]}
        names = {"network"} if drawn.layout == "single" else {*one["segments"]} - {"ports"}
        assert {key.removeprefix(f"{STACK}-") for key in joined if not key.endswith("-ports")} == names
        assert all({spec["container"], *one.get("aliases", [])} <= {*each["Aliases"]} for each in joined.values())
        files = {each["Destination"]: Path(each["Source"]) for each in attrs["Mounts"]}
        directories = [one["config"], *(one.get(key) or {} for key in ("secrets", "live_secrets"))]
        for target, texts in itertools.chain.from_iterable(each.items() for each in directories):
            shown = {str(p.relative_to(files[target])): p.read_text() for p in files[target].rglob("*") if p.is_file()}
            assert shown == {file: text if isinstance(text, str) else drawn.secret for file, text in texts.items()}
        assert all(target in files for target in (*one.get("data", {}), *one.get("binds", {})))
