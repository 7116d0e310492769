# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The Docker Engine: whether it answers, uses its configuration file, and has a healthy Swarm; and all clocks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast

from ansible_collections.sse.platform.plugins.module_utils.doctor import commands
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Facts
from ansible_collections.sse.platform.plugins.module_utils.engine.daemon import CONFIGURATION
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, docker
from ansible_collections.sse.platform.plugins.module_utils.preflight.engine_preflight import config_file

# Seconds. The controller's time is read before the module travels, which takes some on a busy machine; from here on
# tokens, certificates and logs of the two tell different stories.
CONTROLLER_SECONDS = 30
CONTAINER_SECONDS = 5  # the Date of an HTTP answer counts whole seconds
START_SECONDS = 2  # the kernel rounds the time of its boot, from which the start of a process is counted

# The settings that the engine reports: key of daemon.json -> key of /info.
REPORTED = {
    "data-root": "DockerRootDir", "debug": "Debug", "default-address-pools": "DefaultAddressPools",
    "default-runtime": "DefaultRuntime", "experimental": "ExperimentalBuild", "labels": "Labels",
    "live-restore": "LiveRestoreEnabled", "log-driver": "LoggingDriver", "storage-driver": "Driver",
}  # fmt: skip
# The settings that SIGHUP loads without a restart (dockerd(8), configuration reload): for these, a file that is newer
# than the engine means nothing.
RELOADED = {
    "allow-nondistributable-artifacts", "authorization-plugins", "debug", "default-runtime", "features",
    "insecure-registries", "labels", "live-restore", "max-concurrent-downloads", "max-concurrent-uploads",
    "max-download-attempts", "registry-mirrors", "runtimes", "shutdown-timeout",
}  # fmt: skip


def engine_answers(facts: Facts) -> Iterator[Finding]:
    """Check that an engine that is installed runs and answers."""
    host = facts["host"]
    if host["engine"] is not None or not (host["dockerd"] or host["dockerd_pid"]):
        return
    wrong, mend = "it is installed, but it does not run", commands.engine(facts, "start")
    if host["dockerd_pid"]:
        wrong = f"it runs as process {host['dockerd_pid']}, but it does not answer"
        mend = commands.engine(facts, "restart")
    log = "journalctl -u docker -n 50" if host["service_manager"] == "systemd" else "tail -n 50 /var/log/dockerd.log"
    yield Finding("engine-silent", "engine", wrong, host["engine_error"], (log, mend))


def file_is_valid(facts: Facts) -> Iterator[Finding]:
    """Check that the engine's configuration file can be read."""
    if facts["host"]["daemon_json"] is None:
        evidence = "it does not hold a JSON object, so the engine will not start again"
        path = configuration(facts)
        show = f"python3 -m json.tool {path}"
        yield Finding("daemon-json", path, "this file is not valid", evidence, (show,))


def configuration(facts: Facts) -> str:
    """Return the path of the file that configures the engine, which its command line may name."""
    engine = facts["host"]["engine"]
    return config_file(engine) if engine else CONFIGURATION


def file_is_loaded(facts: Facts) -> Iterator[Finding]:
    """Check that the engine uses what its configuration file says."""
    file: Mapping[str, object] = facts["host"]["daemon_json"] or {}
    info, engine = cast("Mapping[str, object]", facts["info"]), facts["host"]["engine"]
    if engine is None:
        return
    differences = [
        f"{key} is {json.dumps(file[key])} in the file and {json.dumps(info[reported])} in the engine"
        for key, reported in REPORTED.items()
        if key in file and reported in info and comparable(file[key]) != comparable(info[reported])
    ]
    if file.get("userland-proxy") is False and engine["userland_proxy"]:
        differences.append("userland-proxy is false in the file and true in the engine")
    unreported = sorted(set(file) - set(REPORTED) - RELOADED - {"userland-proxy"})
    newer = facts["daemon_json_changed"] - facts["engine_started"]
    if not differences and unreported and newer > START_SECONDS:
        shown = ", ".join(unreported)
        differences = [f"the file was changed {newer:.0f} s after the engine started, which does not report {shown}"]
    if differences:
        mend = commands.restart_engine(facts)
        if engine["live_restore"] and file.get("live-restore") is False:
            # An engine that starts without live-restore stops every container, and no restart policy starts it again.
            running = [one["name"] for one in facts["containers"] if one["running"]]
            mend += [docker("start", *running)] if running else []
        wrong = "this file was changed, but the engine was not restarted since"
        yield Finding("daemon-json-not-loaded", configuration(facts), wrong, "; ".join(differences), tuple(mend))


def comparable(setting: object) -> object:
    """Return a setting as the file and the engine both spell it: keys in lower case, and null for what is empty."""

    def spelled(keys: dict[str, object]) -> dict[str, object]:
        return {key.lower(): one or None for key, one in keys.items()}

    return json.loads(json.dumps(setting), object_hook=spelled) or None


def swarm_works(facts: Facts) -> Iterator[Finding]:
    """Check the Swarm of the engine: unless its state is active, no container can join a network of the Swarm."""
    engine = facts["host"]["engine"]
    if engine is None or engine["swarm"] in {"inactive", "active"}:
        return
    state, error = engine["swarm"], engine["swarm_error"]
    refused = [one["name"] for one in facts["containers"] if re.search("(?i)cluster|swarm", one["error"])]
    evidence = f"the state of the Swarm is {state}" + (f" ({error})" if error else "")
    evidence += f"; for this reason these containers did not start: {', '.join(refused)}" if refused else ""
    waits = "# it waits for a manager: open port 2377/tcp of that manager, or leave the Swarm and join again:"
    forgets = "# if this is the last manager, the Swarm loses all its services; this stack uses none:"
    leave = ("docker swarm leave --force",)
    mend = {"locked": ("docker swarm unlock",), "pending": (waits, *leave)}.get(state, (forgets, *leave))
    wrong = "its Swarm does not work: Docker refuses to attach a container to a Swarm network ('invalid cluster node')"
    yield Finding("swarm", "engine", wrong, evidence, mend)


def clocks_agree(facts: Facts) -> Iterator[Finding]:
    """Check that the host's clock agrees with the controller's, and each container's with the host's."""
    if facts["controller"] is not None:
        ahead = facts["now"] - facts["controller"]
        if abs(ahead) > CONTROLLER_SECONDS:
            wrong = "its clock is wrong, or the clock of the controller is wrong"
            evidence = f"the host's clock is {difference(ahead)} the controller's clock"
            synchronize = ("timedatectl set-ntp true", "timedatectl timesync-status")
            yield Finding("clock-skew", "host", wrong, evidence, synchronize)
    for clock in facts["clocks"]:
        if abs(clock.ahead) > CONTAINER_SECONDS:
            evidence = f"the date of its answer on port {clock.port} is {difference(clock.ahead)} the host's clock"
            hint = (
                "# containers share the host's clock: look for a faked clock (LD_PRELOAD, FAKETIME) or a cached answer"
            )
            mend = (hint, f"docker inspect --format '{{{{json .Config.Env}}}}' {clock.container}")
            yield Finding("clock-skew", clock.container, "its clock differs from the host's clock", evidence, mend)


def difference(ahead: float) -> str:
    """Describe the difference of two clocks."""
    return f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"


RULES = (engine_answers, file_is_valid, file_is_loaded, swarm_works, clocks_agree)
