"""The engine itself: whether it answers, runs what its file says, what its Swarm is in, and what its clock shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Json
from ansible_collections.sse.platform.plugins.module_utils.engine.daemon import CONFIGURATION as DAEMON_JSON
from ansible_collections.sse.platform.plugins.module_utils.host.machine import as_dict
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, docker

# Seconds. The controller's time is read before the module travels, which takes some on a busy machine; from here on
# tokens, certificates and logs of the two tell different stories.
CONTROLLER_SECONDS = 30
CONTAINER_SECONDS = 5  # the Date of an HTTP answer counts whole seconds
START_SECONDS = 2  # the kernel's time of boot, from which a process's start is counted, is rounded

# What the engine tells of its settings: key of daemon.json -> key of /info.
SHOWN = {
    "data-root": "DockerRootDir",
    "debug": "Debug",
    "default-address-pools": "DefaultAddressPools",
    "default-runtime": "DefaultRuntime",
    "experimental": "ExperimentalBuild",
    "labels": "Labels",
    "live-restore": "LiveRestoreEnabled",
    "log-driver": "LoggingDriver",
    "storage-driver": "Driver",
}
# What SIGHUP loads without a restart (dockerd(8), configuration reload), so that a younger file proves nothing.
RELOADED = frozenset(
    {
        "allow-nondistributable-artifacts", "authorization-plugins", "debug", "default-runtime", "features",
        "insecure-registries", "labels", "live-restore", "max-concurrent-downloads", "max-concurrent-uploads",
        "max-download-attempts", "registry-mirrors", "runtimes", "shutdown-timeout",
    }
)  # fmt: skip


def restart(facts: Json) -> str:
    """The command that restarts the engine here."""
    commands = {"systemd": "systemctl restart docker", "init": "service docker restart"}
    # supervise-dockerd starts it again.
    return commands.get(facts["host"]["service_manager"], 'kill -TERM "$(cat /run/docker.pid)"')


def restarting(facts: Json) -> tuple[str, ...]:
    """The same as a mend, after what it costs where it costs anything."""
    warning = "# live-restore is off: every container stops while the engine restarts"
    return (restart(facts),) if facts["host"]["engine"]["live_restore"] else (warning, restart(facts))


def start(facts: Json) -> str:
    """The command that starts the engine here."""
    commands = {"systemd": "systemctl start docker", "init": "service docker start"}
    return commands.get(facts["host"]["service_manager"], "supervise-dockerd start")


def silent(facts: Json) -> Iterator[Finding]:
    """See that an engine that is installed runs and answers."""
    host = facts["host"]
    if host["engine"] is not None or not (host["dockerd"] or host["dockerd_pid"]):
        return
    if host["dockerd_pid"]:
        wrong, mend = f"it runs (pid {host['dockerd_pid']}) and does not answer", restart(facts)
    else:
        wrong, mend = "it is installed and does not run", start(facts)
    why = {"systemd": "journalctl -u docker -n 50"}.get(host["service_manager"], "tail -n 50 /var/log/dockerd.log")
    yield Finding("engine-silent", "engine", wrong, host["engine_error"], (why, mend))


def broken_file(facts: Json) -> Iterator[Finding]:
    """See that the engine's configuration file can be read."""
    if facts["host"]["daemon_json"] is None:
        evidence = "the file holds no JSON object, so the engine's next start fails"
        yield Finding("daemon-json", DAEMON_JSON, "it is broken", evidence, (f"python3 -m json.tool {DAEMON_JSON}",))


def not_loaded(facts: Json) -> Iterator[Finding]:
    """See that the engine runs with what its configuration file says."""
    file, info, engine = as_dict(facts["host"]["daemon_json"]), facts["info"], facts["host"]["engine"]
    if engine is None:
        return
    told = [
        f"{key} is {file[key]!r} in the file and {info[shown]!r} in the engine"
        for key, shown in SHOWN.items()
        if key in file and shown in info and comparable(file[key]) != comparable(info[shown])
    ]
    if file.get("userland-proxy") is False and engine["userland_proxy"]:
        told.append("userland-proxy is False in the file and on in the engine")
    unseen = sorted(set(file) - set(SHOWN) - RELOADED - {"userland-proxy"})
    younger = facts["daemon_json_changed"] - facts["engine_started"]
    if not told and unseen and younger > START_SECONDS:
        told.append(
            f"the file is {round(younger)} s younger than the engine, which does not tell its {', '.join(unseen)}"
        )
    if told:
        mend = [*restarting(facts)]
        if engine["live_restore"] and file.get("live-restore") is False:
            # An engine that starts without it ends what it finds, as if by hand: no restart policy brings that back.
            running = [one["name"] for one in facts["containers"] if one["running"]]
            mend += [docker("start", *running)] if running else []
        yield Finding(
            "daemon-json-not-loaded", DAEMON_JSON, "it was edited and not loaded", "; ".join(told), tuple(mend)
        )


def comparable(value: Any) -> Any:
    """A setting as it compares: the file and the engine differ in the case of keys, and null is empty."""
    if isinstance(value, dict):
        return {str(key).lower(): comparable(one) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list):
        return [comparable(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    return value or None


def swarm(facts: Json) -> Iterator[Finding]:
    """See that a Swarm which the engine is in works: in any other state its networks refuse every container."""
    engine = facts["host"]["engine"]
    state = engine["swarm"] if engine else "inactive"
    if state in {"inactive", "active"}:
        return
    victims = [
        one["name"] for one in facts["containers"] if "cluster" in one["error"] or "swarm" in one["error"].lower()
    ]
    evidence = f"Swarm: {state}"
    if engine["swarm_error"]:
        evidence += f" ({engine['swarm_error']})"
    if victims:
        evidence += f"; refused for it: {', '.join(victims)}"
    leave = "docker swarm leave --force"
    mend = {
        "locked": ("docker swarm unlock",),
        "pending": (
            "# it waits for a manager: let 2377/tcp of that one through, or give up and join again:",
            leave,
        ),
    }.get(state, ("# on the last manager this forgets every service; the stack here uses none:", leave))
    wrong = f"its Swarm is in state {state}: attaching to a Swarm's network fails with 'invalid cluster node'"
    yield Finding("swarm", "engine", wrong, evidence, mend)


def clocks(facts: Json) -> Iterator[Finding]:
    """See that the host's clock is the controller's, and each container's the host's."""
    sync = ("timedatectl set-ntp true", "timedatectl timesync-status")
    if facts["controller"] is not None:
        ahead = facts["now"] - facts["controller"]
        if abs(ahead) > CONTROLLER_SECONDS:
            evidence = f"the host's clock is {describe(ahead)} the controller's"
            yield Finding("clock-skew", "host", "its clock is wrong, or the controller's is", evidence, sync)
    for one in facts["clocks"]:
        if abs(one["ahead"]) > CONTAINER_SECONDS:
            evidence = f"the Date of its answer on port {one['port']} is {describe(one['ahead'])} the host's clock"
            mend = (
                "# containers share the host's clock: look for a faked one (LD_PRELOAD, FAKETIME) or a cached answer",
                f"docker inspect --format '{{{{json .Config.Env}}}}' {one['container']}",
            )
            yield Finding("clock-skew", one["container"], "its clock is not the host's", evidence, mend)


def describe(ahead: float) -> str:
    """A difference of clocks in words."""
    return f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"


RULES = (silent, broken_file, not_loaded, swarm, clocks)
