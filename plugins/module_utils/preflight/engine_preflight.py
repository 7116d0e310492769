# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether an engine, and the way to it, is one that the platform can work with, told before anything changes.

Pure. Each function judges one kind and says what was found, what is expected and what to do. docs/hosts.md lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.model import engine_api, segments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ansible_collections.sse.platform.plugins.module_utils.model.types import (
        EngineFact,
        EngineTraits,
        HostFacts,
        Settings,
        Surroundings,
    )

SOCKET = "/var/run/docker.sock"
CONFIGURATION = "/etc/docker/daemon.json"
# What role docker writes into the configuration file. An engine that has one of them as a flag, too, does not start.
CONFIGURED = ("ip6tables", "live-restore", "log-driver", "log-opt", "userland-proxy")
# Options of networks that decide who reaches whom. As defaults they would also change the networks of the platform.
NETWORK_OPTIONS = ("enable_icc", "enable_ip_masquerade", "gateway_mode", "host_binding")


def problems(settings: Settings, host: HostFacts) -> Iterator[str]:
    """Say why this engine cannot be used, one sentence for each reason."""
    around, engine = host.get("surroundings"), host["engine"]
    if engine is None:
        yield from _no_engine(host, around)
    elif traits := engine.get("traits"):
        first = next((text for judge in _FOREIGN if (text := judge(engine, traits, host))), "")
        if first:  # what else is unusual does not matter then
            yield first
            return
        yield from _configured(settings, host, engine, traits)
    if around and around["sdk_problem"]:
        yield (
            f"Python on this host takes the Docker SDK, or what it needs, from {around['sdk_problem']}, not from the "
            "distribution's packages, and that does not work: expected python3-docker. Remove what pip installed with "
            "python3 -m pip uninstall docker docker-py requests urllib3 (as root, with --break-system-packages where "
            "pip asks for it)."
        )


def _no_engine(host: HostFacts, around: Surroundings | None) -> Iterator[str]:
    pid, error = host["dockerd_pid"], host["engine_error"]
    if around and (around["socket"]["kind"] in {"directory", "other", "dangling"} or around["socket"]["answers"]):
        yield from _wrong_socket(around, error)
    elif pid and around and around["dockerd_user"]:
        yield (
            f"The engine here is rootless (dockerd, pid {pid}, user id {around['dockerd_user']}): expected an "
            "engine of root, because the platform writes firewall rules and looks into the containers' namespaces. "
            "Turn it off with dockerd-rootless-setuptool.sh uninstall as that user, and run this again, which "
            "installs one."
        )
    elif pid:
        yield (
            f"An engine runs (dockerd, pid {pid}), but does not answer on {SOCKET} ({error}): have it listen there. "
            "The platform never starts a second engine."
        )
    elif chosen := other_engine(host):
        yield (
            f"{chosen}, and no engine answers on {SOCKET}: expected an engine on this host. To work with that other "
            "machine, put it into an inventory and run this with -i; to have an engine installed here, unset the "
            "variable or run docker context use default first."
        )


def _wrong_socket(around: Surroundings, error: str) -> Iterator[str]:
    socket = around["socket"]
    if socket["kind"] == "dangling":
        yield (
            f"{SOCKET} is a link to {socket['target']}, which does not exist: expected the socket of a Docker Engine. "
            "Where Podman put the link (package podman-docker), remove that package; else remove the link."
        )
    elif socket["kind"] != "socket":
        yield (
            f"{SOCKET} is a {'directory' if socket['kind'] == 'directory' else 'file'}, not a socket: a container that "
            "mounted it while no engine ran may have made it. Remove it, and start the engine."
        )
    else:
        yield (
            f"What listens on {SOCKET} ({socket['target']}) does not answer as a Docker Engine does ({error}): "
            "expected Docker Engine, and no plugin that refuses requests (authorization-plugins). Stop what listens "
            "there, or let root's requests pass."
        )


def config_file(engine: EngineFact) -> str:
    """Return the path of the file that configures the engine."""
    traits = engine.get("traits")
    return traits["config_file"] if traits else CONFIGURATION


def other_engine(host: HostFacts) -> str:
    """Tell that DOCKER_HOST or a context leads to another engine than ours; empty where none does."""
    around = host.get("surroundings")
    if not around:
        return ""
    variables, target = around["variables"], around["socket"]["target"]
    chosen = variables.get("DOCKER_HOST", "")
    if chosen:
        same = chosen.removeprefix("unix://").replace("/var/run/", "/run/") in {SOCKET[4:], target}
        return "" if same else f"DOCKER_HOST is {chosen}"
    return f"The docker context here is '{around['context']}'" if around["context"] not in {"", "default"} else ""


def uses_nftables(host: HostFacts) -> bool:
    """Tell whether the engine writes its rules for nftables: a chain DOCKER-USER that was left there is not asked."""
    traits = host["engine"].get("traits") if host["engine"] else None
    return bool(traits and traits.get("nftables"))


# --- engines of another make or place


def _other_product(engine: EngineFact, traits: EngineTraits, host: HostFacts) -> str:
    if traits["product"] == "Docker":
        return ""
    where = host["surroundings"]["socket"]["target"] if "surroundings" in host else SOCKET
    return (
        f"What answers on {SOCKET} is {traits['product']} {engine['version']} ({where}): expected Docker Engine. Take "
        "its socket away from there (for Podman: the package podman-docker), and run this again, which installs "
        "an engine."
    )


def _elsewhere(engine: EngineFact, traits: EngineTraits, host: HostFacts) -> str:
    desktop = "Docker Desktop" in traits["operating_system"]
    if traits["os_type"] == "linux" and traits["same_kernel"] and host["dockerd_pid"] and not desktop:
        return ""
    what = traits["operating_system"] or f"Engine {engine['version']}"
    return (
        f"The engine that answers on {SOCKET} ({what}) does not run on this machine: no dockerd is here, or another "
        "kernel is below it, as with Docker Desktop, a virtual machine, or a socket that is forwarded or mounted into "
        "a container. Expected an engine on the host itself: run this on the machine where dockerd runs, or name that "
        "machine in an inventory."
    )


def _rootless(engine: EngineFact, traits: EngineTraits, host: HostFacts) -> str:
    user = host["surroundings"]["dockerd_user"] if "surroundings" in host else 0
    if "rootless" not in traits["security"] and not user:
        return ""
    return (
        f"The engine {engine['version']} is rootless: expected an engine of root, because the platform writes firewall "
        "rules and looks into the containers' namespaces. Turn it off with dockerd-rootless-setuptool.sh uninstall as "
        f"its user, take its socket away from {SOCKET}, and run this again, which installs one."
    )


def _snap(engine: EngineFact, traits: EngineTraits, host: HostFacts) -> str:
    if not traits["program"].startswith("/snap/") and not engine["root_dir"].startswith("/var/snap/"):
        return ""
    return (
        f"The engine {engine['version']} is a snap ({traits['program'] or engine['root_dir']}), which sees only some "
        "directories of the host: expected the package of the distribution or of Docker. Save what its containers "
        "hold, then snap remove docker, and run this again, which installs one."
    )


def _user_namespaces(engine: EngineFact, traits: EngineTraits, host: HostFacts) -> str:
    if "userns" not in traits["security"] and not traits["options"].get("userns-remap"):
        return ""
    remap = traits["options"].get("userns-remap") or "on"
    return (
        f"The engine has userns-remap ({remap}), so user ids in containers are others on the host, and no service "
        "could read its files: expected an engine without it. Remove userns-remap from "
        f"{traits['config_file']} and restart the engine, or use another host. Images and containers that were made "
        "with it are not seen without it, and come back with it."
    )


def _too_old(engine: EngineFact, traits: EngineTraits, host: HostFacts) -> str:
    if engine_api.has(engine["api_version"], engine_api.PLATFORM):
        return ""
    oldest = ".".join(map(str, engine_api.PLATFORM))
    return (
        f"The engine {engine['version']} has API {engine['api_version']}: expected API {oldest} or newer, which is "
        "Engine 20.10. Upgrade the engine."
    )


def _selinux(engine: EngineFact, traits: EngineTraits, host: HostFacts) -> str:
    if "selinux" not in traits["security"] or not traits.get("selinux_enforces"):
        return ""
    return (
        "The engine has selinux-enabled, and SELinux enforces its rules here, so containers may not read files of the "
        "host, and no service could read its own: expected an engine without it. Remove selinux-enabled from "
        f"{traits['config_file']}, or from the command line of dockerd, and restart the engine."
    )


_FOREIGN: tuple[Callable[[EngineFact, EngineTraits, HostFacts], str], ...] = (
    *(_other_product, _rootless, _snap, _elsewhere, _user_namespaces, _too_old, _selinux),
)


# --- engines with an unusual configuration


def _configured(settings: Settings, host: HostFacts, engine: EngineFact, traits: EngineTraits) -> Iterator[str]:
    options, file = traits["options"], traits["config_file"]
    if options.get("iptables") is False:
        yield from _without_iptables(settings, engine, file)
    elif uses_nftables(host) and (name := _needs_rules(settings)):
        yield (
            f'{name} needs the chain DOCKER-USER, and the engine has "firewall-backend": "nftables", which asks none: '
            f"expected iptables. Remove that option from {file} or from the command line of dockerd and restart "
            f"the engine, or leave {name} as it is by default."
        )
    if not traits["forwards"]:
        yield (
            "This host passes no packets on between networks (net.ipv4.ip_forward is 0), so a published port answers "
            "nobody outside, and no container reaches another machine: turn it on with sysctl -w "
            f'net.ipv4.ip_forward=1 and a file in /etc/sysctl.d, or remove "ip-forward": false from {file}.'
        )
    defaults: dict[str, dict[str, object]] = options.get("default-network-opts") or {}
    chosen = {name for one in defaults.values() for name in one}
    if changed := sorted(name for name in chosen if any(part in name for part in NETWORK_OPTIONS)):
        yield (
            f"default-network-opts in {file}, or on the command line of dockerd, changes who reaches whom on every new "
            f"network ({', '.join(changed)}): expected an engine without these defaults. Give those options to the "
            "networks that need them, and restart the engine."
        )
    if traits["default_runtime"] not in {"", "runc", "crun"} and "runc" not in traits["runtimes"]:
        yield (
            f"The engine runs containers with {traits['default_runtime']} and does not know runc: expected runc among "
            f"its runtimes ({', '.join(traits['runtimes']) or 'none'})."
        )
    if settings["docker_restart_allowed"] and not engine["managed"]:
        yield from _not_to_configure(traits)


def _needs_rules(settings: Settings) -> str:
    """Return the setting that only rules of the stack's own can fulfil; empty where there is none."""
    if settings["network_layout"] == segments.SEGMENTED and settings.get("deployment") != "swarm":
        return "network_layout"
    return "exposure_allow_from" if settings["exposure_allow_from"] else ""


def _without_iptables(settings: Settings, engine: EngineFact, file: str) -> Iterator[str]:
    if not engine["userland_proxy"]:
        yield (
            'The engine has "iptables": false and "userland-proxy": false, so no published port would answer: expected '
            f"at least one of them. Remove one of the two lines from {file}, and restart the engine."
        )
    if name := _needs_rules(settings):
        yield (
            f'{name} needs firewall rules, and the engine has "iptables": false: expected true. Remove the line from '
            f"{file} and restart the engine, or leave {name} as it is by default."
        )


def _not_to_configure(traits: EngineTraits) -> Iterator[str]:
    if traits["config_file"] != "/etc/docker/daemon.json":
        yield (
            f"docker_restart_allowed is true, but the engine reads {traits['config_file']}, and the platform writes "
            "/etc/docker/daemon.json: expected false. Set live-restore and userland-proxy in that file yourself."
        )
    if flags := [name for name in traits["flags"] if name in CONFIGURED]:
        yield (
            f"docker_restart_allowed is true, but dockerd was started with --{', --'.join(flags)}: it refuses to start "
            "when its file says the same. Expected these options in /etc/docker/daemon.json instead of its command "
            "line, or docker_restart_allowed=false."
        )
