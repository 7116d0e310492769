# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The proxies through which this host reaches package registries, as it has them configured, for builds of images.

A container has nothing of the host's configuration. A build gets proxies by the build arguments that Docker knows
without a declaration (Dockerfile reference, predefined ARGs): they are in no image and in no history of one.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import urlsplit

from ansible_collections.sse.platform.plugins.module_utils.engine import daemon
from ansible_collections.sse.platform.plugins.module_utils.engine.api import SOCKET
from ansible_collections.sse.platform.plugins.module_utils.host.engine_traits import ancestors
from ansible_collections.sse.platform.plugins.module_utils.host.procfs import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json

ENVIRONMENT = "/etc/environment"  # read by PAM for each session; sudo and services do not have it (pam_env(8))
APT_HELPER = "/usr/lib/apt/apt-helper"
APT = "apt's configuration"
HTTP = re.compile(r"https?://", re.IGNORECASE)


class Proxies(NamedTuple):
    """Proxies by what they are for, and where they are configured. Addresses may hold passwords: never show them."""

    http: str = ""
    https: str = ""
    no: str = ""  # hosts that are reached without one
    place: str = ""
    unread: tuple[str, ...] = ()  # places that name one by an address that nobody can read


def chosen(given: Mapping[str, object], pattern: str, place: str) -> Proxies:
    """Return proxies in the spelling that every client reads.

    :param pattern: how the names in `given` are made of http, https and no
    """
    http, https, no = (given.get(pattern.format(key)) for key in ("http", "https", "no"))
    unread = (place,) if is_unread(http) or is_unread(https) else ()
    return Proxies(address(http), address(https), without(no), place, unread)


def as_object(value: object) -> Json:
    """Return what should be an object of JSON; empty where it is something else."""
    return cast("Json", value) if isinstance(value, dict) else {}


def address(value: object) -> str:
    """Return the address of a proxy; empty where it does not speak HTTP, or nobody can read it."""
    text = _spelled(value)
    return text if HTTP.match(text) and _has_host_and_port(text) else ""


def is_unread(value: object) -> bool:
    """Tell whether this is meant as the address of a proxy that speaks HTTP, and nobody can read it."""
    text = _spelled(value)
    return bool(HTTP.match(text)) and not _has_host_and_port(text)


def _spelled(value: object) -> str:
    """Return an address as clients read it: few add a scheme that is missing."""
    text = str(value or "").strip().strip("\"'")
    return text if "://" in text or not text else f"http://{text}"


def _has_host_and_port(text: str) -> bool:
    """Tell whether an address can be read; an @ behind the host shows that a password ends what was taken for it."""
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0 and "@" not in f"{parts.path}{parts.query}{parts.fragment}"
    except ValueError:  # which quotes a part of the password
        return False


def without(value: object) -> str:
    """Return the hosts that are reached without a proxy. Only some clients read spaces, or a star before a domain."""
    names = re.split(r"[\s,;|]+", str(value or "").strip().strip("\"'"))
    return ",".join(dict.fromkeys(re.sub(r"^\*(?=\.)", "", one) for one in names if one))


def of_environment(variables: Mapping[str, str], place: str) -> Proxies:
    """Read the variables in either spelling; where both are set, the lower one counts, as for curl and apt."""
    lower = {name.lower(): value for name, value in variables.items() if value and not name.islower()}
    lower |= {name: value for name, value in variables.items() if value and name.islower()}
    if every := lower.get("all_proxy"):
        lower = {"http_proxy": every, "https_proxy": every, **lower}
    return chosen(lower, "{}_proxy", place)


def of_docker_client(environment: Mapping[str, str]) -> Proxies:
    """Read what the docker command would give a build: `proxies` of its config.json, for our socket before others."""
    every = as_object(client_config(environment).get("proxies"))
    return chosen(as_object(every.get(f"unix://{SOCKET}", every.get("default"))), "{}Proxy", "Docker's config.json")


def client_config(environment: Mapping[str, str]) -> Json:
    """Return the configuration of the docker command for a user; empty where there is none."""
    directory = environment.get("DOCKER_CONFIG") or f"{environment.get('HOME', '/nonexistent')}/.docker"
    try:
        return as_object(json.loads(read(f"{directory}/config.json")))
    except ValueError:
        return {}


def of_dockerd(configuration: Json, words: list[str], environ: str) -> Iterator[Proxies]:
    """Read what dockerd has: options before its file before its environment, as from a drop-in of systemd."""
    options = {**as_object(configuration.get("proxies")), **daemon.flags(words)}
    yield chosen(options, "{}-proxy", "dockerd's configuration")
    pairs = (entry.partition("=") for entry in environ.split("\0"))
    yield of_environment({name: value for name, __, value in pairs}, "dockerd's environment")


def usable(proxies: Proxies) -> bool:
    """Tell whether a proxy is named at all."""
    return bool(proxies.http or proxies.https)


def file_variables(text: str) -> dict[str, str]:
    """Read lines of ``NAME=value``, as in /etc/environment (pam_env(8))."""
    without_comments = (line.partition("#")[0].strip() for line in text.splitlines())
    lines = (line.removeprefix("export ").partition("=") for line in without_comments)
    return {name.strip(): value for name, equals, value in lines if equals}


def found() -> Proxies:
    """Return the proxies of this host from the first place that names some; what belongs together is not mixed."""
    environments, pid = list(ancestors()), daemon.dockerd_pid()
    words = daemon.command_line(pid)

    def places() -> Iterator[Proxies]:
        yield from map(of_docker_client, environments)
        for one in environments:
            yield of_environment(one, "the environment")
        yield of_environment(file_variables(read(ENVIRONMENT)), "/etc/environment")
        configuration = daemon.configuration(daemon.configuration_file(words)) or {}
        yield from of_dockerd(configuration, words, read(f"/proc/{pid}/environ") if pid else "")

    unread: list[str] = []
    for one in places():
        unread += [place for place in one.unread if place not in unread]
        if usable(one):
            return one._replace(unread=tuple(unread))
    return Proxies(unread=tuple(unread))


# --- apt


def for_apt(general: Proxies, mirror: str) -> Proxies:
    """Return the proxies for Debian's packages: apt takes its own configuration before the environment.

    :param mirror: address of the archive
    """
    scheme = urlsplit(mirror).scheme
    told = asked([APT_HELPER, "auto-detect-proxy", mirror])  # what is configured for this host, or detected
    own = re.search(r"^Using proxy '([^']+)'", told, re.MULTILINE)
    value = own[1] if own else apt_option(asked(["apt-config", "dump", "--format", "%f=%v%n", "Acquire"]), scheme)
    if not value:
        return general
    if is_unread(value):
        return general._replace(unread=(*general.unread, APT))
    # Archives of one distribution have one proxy, whichever scheme they are reached by.
    through = "" if value == "DIRECT" else address(value)
    return Proxies(through, through, general.no, APT)


def apt_option(dump: str, scheme: str) -> str:
    """Return Acquire::http::Proxy, or that of https, which is http's where it has none (apt-transport-https(1))."""
    options = {name.lower(): value for name, __, value in (line.partition("=") for line in dump.splitlines())}
    ways = ("https", "http") if scheme == "https" else ("http",)
    return next((value for way in ways if (value := options.get(f"acquire::{way}::proxy"))), "")


def archive() -> str:
    """Return the address of the first Debian archive of this host's apt; the public one where it has none."""
    listed = asked(["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"])
    lines = [line.split() for line in listed.splitlines()]
    return next((one[1] for one in lines if one[:1] == ["Debian"] and len(one) > 1), "http://deb.debian.org/debian")


def asked(command: list[str]) -> str:
    """Return what a program answers; empty where it can't."""
    try:
        environment = {**os.environ, "LC_ALL": "C"}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


# --- what a build is given


def is_on_loopback(proxies: Proxies) -> bool:
    """Tell whether a proxy listens on the host's loopback, which a container has another one of."""
    hosts = [urlsplit(one).hostname or "" for one in (proxies.http, proxies.https) if one]
    return any(host == "localhost" or _is_loopback(host) for host in hosts)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def docker_config(proxies: Proxies, base: Json | None = None) -> str:
    """Return a config.json that gives each build these proxies, and no others."""
    keys = {"httpProxy": proxies.http, "httpsProxy": proxies.https, "noProxy": proxies.no if usable(proxies) else ""}
    given = {name: value for name, value in keys.items() if value}
    return json.dumps({**(base or {}), "proxies": {"default": given}})


def shell_variables(proxies: Proxies) -> str:
    """Return lines for a shell that export the proxies."""
    pairs = {"http_proxy": proxies.http, "https_proxy": proxies.https, "no_proxy": proxies.no}
    quoted = {name: value.replace("'", "'\\''") for name, value in pairs.items() if value}
    return "".join(f"export {name}='{value}'\n" for name, value in quoted.items())
