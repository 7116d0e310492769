"""Unusual hosts, one row each, and what happens on them. The next report is one more row.

docs/hosts.md is written from these tables: `python tests/strange_hosts.py` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "hosts.md"

WORKS, TOLD, REFUSED = "works", "works, with a notice", "refused"


class Engine(NamedTuple):
    """An engine, or a way to it, and what `./sse up` makes of it."""

    what: str
    outcome: str
    why: str  # for the page
    said: tuple[str, ...] = ()  # what the refusal or the notice says at least
    info: dict[str, Any] = {}  # noqa: RUF012 - a row is never changed
    version: dict[str, Any] = {}  # noqa: RUF012
    daemon: dict[str, Any] = {}  # noqa: RUF012 - the configuration file
    flags: tuple[str, ...] = ()
    traits: dict[str, Any] = {}  # noqa: RUF012 - what only the kernel tells
    around: dict[str, Any] = {}  # noqa: RUF012 - the surroundings
    host: dict[str, Any] = {}  # noqa: RUF012
    settings: dict[str, Any] = {}  # noqa: RUF012


NO_ENGINE = {"engine": None, "dockerd_pid": None}
OTHER_SOCKET = "unix:///run/user/1000/docker.sock"
PODMAN = {"Components": [{"Name": "Podman Engine"}], "Version": "5.4.2", "ApiVersion": "1.41"}


def socket(kind: str = "socket", target: str = "/run/docker.sock", *, answers: bool = False) -> dict[str, Any]:
    return {"socket": {"kind": kind, "target": target, "answers": answers}}


ENGINES = [
    Engine(
        "userns-remap",
        REFUSED,
        "user ids in containers are others on the host, so services could not read their files",
        ("userns-remap", "/etc/docker/daemon.json"),
        info={"SecurityOptions": ["name=seccomp", "name=userns"]},
        daemon={"userns-remap": "default"},
    ),
    Engine(
        "userns-remap as an option of dockerd",
        REFUSED,
        "as above",
        ("userns-remap", "dockremap"),
        flags=("--userns-remap=dockremap",),
    ),
    Engine(
        "a rootless engine on the socket of root",
        REFUSED,
        "the platform writes rules of the firewall, for which it needs an engine of root",
        ("rootless",),
        info={"SecurityOptions": ["name=seccomp", "name=rootless"]},
    ),
    Engine(
        "a rootless engine on its own socket, and no other engine",
        REFUSED,
        "as above; `up` installs an engine of root when the rootless one is off",
        ("rootless", "user id 1000", "dockerd-rootless-setuptool.sh uninstall"),
        host={"engine": None, "dockerd_pid": 7, "engine_error": "no such file"},
        around={"dockerd_user": 1000},
    ),
    Engine(
        "Podman's socket under the name of Docker's",
        REFUSED,
        "it is not Docker Engine",
        ("Podman Engine", "/run/podman/podman.sock", "podman-docker"),
        version=PODMAN,
        around=socket(target="/run/podman/podman.sock", answers=True),
    ),
    Engine(
        "a link to Podman's socket, which is off",
        REFUSED,
        "the link leads nowhere",
        ("podman-docker", "link"),
        host=NO_ENGINE,
        around=socket("dangling", "/run/podman/podman.sock"),
    ),
    Engine(
        "a directory at the path of the socket",
        REFUSED,
        "a container that mounted the socket while no engine ran made it",
        ("directory", "/var/run/docker.sock"),
        host=NO_ENGINE,
        around=socket("directory"),
    ),
    Engine(
        "something else that answers on the socket",
        REFUSED,
        "a proxy of the socket, or a plugin that refuses requests",
        ("authorization-plugins", "403"),
        host={**NO_ENGINE, "engine_error": "/version answers 403"},
        around=socket(answers=True),
    ),
    Engine(
        "an engine that runs and does not answer",
        REFUSED,
        "it listens elsewhere, or hangs",
        ("pid 7", "have it listen there"),
        host={"engine": None, "dockerd_pid": 7, "engine_error": "refused"},
    ),
    Engine(
        "a socket that is a link to the engine's socket",
        WORKS,
        "the link is followed",
        around=socket(target="/run/elsewhere.sock", answers=True),
    ),
    Engine(
        "Docker Desktop",
        REFUSED,
        "its engine runs in a virtual machine, which has other files and networks than the host",
        ("Docker Desktop", "on the host itself"),
        info={"OperatingSystem": "Docker Desktop"},
    ),
    Engine(
        "an engine in a virtual machine (colima, lima), or a forwarded socket",
        REFUSED,
        "as above",
        ("another kernel",),
        traits={"same_kernel": False},
    ),
    Engine(
        "the socket mounted into the container where Ansible works",
        REFUSED,
        "as above",
        ("no dockerd is here",),
        host={"dockerd_pid": None},
    ),
    Engine(
        "Docker from the snap store",
        REFUSED,
        "it sees only some directories of the host",
        ("snap",),
        traits={"program": "/snap/docker/2915/bin/dockerd"},
    ),
    Engine(
        "Windows containers",
        REFUSED,
        "services need Linux",
        ("does not run on this machine",),
        info={"OSType": "windows"},
    ),
    Engine(
        "an engine older than 20.10",
        REFUSED,
        "it lacks what the platform asks for",
        ("API 1.40", "20.10"),
        version={"Version": "19.03.15", "ApiVersion": "1.40"},
    ),
    Engine(
        "a version that is no number, as of an engine that somebody built",
        WORKS,
        "the version of the API tells what an engine can do",
        version={"Version": "library-import", "ApiVersion": "1.47"},
        settings={"network_ipv6": True, "network_layout": "segmented"},
    ),
    Engine(
        "a version with an addition, such as 20.10.25+dfsg1 or 27.0.0-rc.1",
        WORKS,
        "as above",
        version={"Version": "27.0.0-rc.1", "ApiVersion": "1.46"},
        settings={"network_ipv6": True, "network_layout": "segmented"},
    ),
    Engine(
        "an engine that tells no version of its API",
        REFUSED,
        "nobody knows what it can do",
        ("API dev", "expected API 1.41"),
        version={"Version": "dev", "ApiVersion": "dev"},
    ),
    Engine(
        "Engine 29, with the image store of containerd",
        WORKS,
        "the version of the API is negotiated",
        version={"Version": "29.1.0", "ApiVersion": "1.52"},
        info={"Driver": "overlayfs"},
    ),
    Engine(
        "DOCKER_HOST names another engine, and one runs here",
        TOLD,
        "the stack is on the engine of the host; `docker` commands that you type go elsewhere",
        ("DOCKER_HOST is tcp://", "docker -H unix:///var/run/docker.sock"),
        around={"variables": {"DOCKER_HOST": "tcp://192.0.2.9:2376"}},
    ),
    Engine(
        "DOCKER_HOST names the same socket",
        WORKS,
        "it is the same engine",
        around={"variables": {"DOCKER_HOST": "unix:///run/docker.sock"}},
    ),
    Engine(
        "DOCKER_HOST names another engine, and none runs here",
        REFUSED,
        "nobody wants a second engine by accident",
        (f"DOCKER_HOST is {OTHER_SOCKET}", "inventory", "unset"),
        host=NO_ENGINE,
        around={"variables": {"DOCKER_HOST": OTHER_SOCKET}},
    ),
    Engine(
        "a docker context other than default",
        TOLD,
        "as with DOCKER_HOST",
        ("context", "'far'"),
        around={"context": "far"},
    ),
    Engine(
        "a docker context other than default, and no engine here",
        REFUSED,
        "as with DOCKER_HOST",
        ("context", "'far'"),
        host=NO_ENGINE,
        around={"context": "far"},
    ),
    Engine(
        "DOCKER_TLS_VERIFY, DOCKER_API_VERSION",
        WORKS,
        "every task names its engine, and how it is asked",
        around={"variables": {"DOCKER_TLS_VERIFY": "1", "DOCKER_API_VERSION": "1.24"}},
    ),
    Engine("`proxies` in the client's config.json", WORKS, "no container of the stack gets them, and builds do"),
    Engine(
        "an older Docker SDK, or one that does not fit, from pip",
        REFUSED,
        "the platform uses the distribution's",
        ("/usr/local/lib", "python3-docker", "pip uninstall"),
        around={"sdk_problem": "/usr/local/lib/python3.11/dist-packages/docker (it is version 2.7.0)"},
    ),
    Engine(
        '"iptables": false',
        TOLD,
        "docker-proxy serves the ports, and the platform leaves it on",
        ('"iptables": false', "masquerades"),
        daemon={"iptables": False},
        traits={"userland_proxy": True},
    ),
    Engine(
        '"iptables": false, with docker_restart_allowed',
        TOLD,
        "as above",
        ('"iptables": false',),
        daemon={"iptables": False},
        traits={"userland_proxy": True},
        settings={"docker_restart_allowed": True},
    ),
    Engine(
        '"iptables": false and "userland-proxy": false',
        REFUSED,
        "no published port would answer",
        ("no published port", "userland-proxy"),
        daemon={"iptables": False, "userland-proxy": False},
    ),
    Engine(
        "--iptables=false as an option of dockerd, without docker-proxy",
        REFUSED,
        "as above",
        ("no published port",),
        flags=("--iptables=false",),
    ),
    Engine(
        '"iptables": false, and the layout segmented',
        REFUSED,
        "the segments need rules of the firewall",
        ("network_layout", "iptables"),
        daemon={"iptables": False},
        traits={"userland_proxy": True},
        settings={"network_layout": "segmented"},
    ),
    Engine(
        '"iptables": false, and exposure_allow_from',
        REFUSED,
        "the list needs rules of the firewall",
        ("exposure_allow_from", "iptables"),
        daemon={"iptables": False},
        traits={"userland_proxy": True},
        settings={"exposure_allow_from": ["192.0.2.0/24"]},
    ),
    Engine(
        '"firewall-backend": "nftables" of Engine 29, also where chains of iptables are left',
        TOLD,
        "nothing asks the chain of the stack there; the engine keeps its own rules",
        ("firewall-backend", "/etc/docker/daemon.json"),
        info={"FirewallBackend": {"Driver": "nftables+firewalld"}},
    ),
    Engine(
        '"firewall-backend": "nftables", and the layout segmented',
        REFUSED,
        "the segments need rules of the firewall",
        ("network_layout", "firewall-backend"),
        info={"FirewallBackend": {"Driver": "nftables"}},
        settings={"network_layout": "segmented"},
    ),
    Engine(
        '"firewall-backend": "nftables", and exposure_allow_from',
        REFUSED,
        "the list needs rules of the firewall",
        ("exposure_allow_from", "firewall-backend"),
        info={"FirewallBackend": {"Driver": "nftables"}},
        settings={"exposure_allow_from": ["192.0.2.0/24"]},
    ),
    Engine('"firewall-backend": "iptables"', WORKS, "", info={"FirewallBackend": {"Driver": "iptables"}}),
    Engine(
        '"ip-forward": false, and the kernel does not forward',
        REFUSED,
        "published ports would answer nobody outside",
        ("net.ipv4.ip_forward",),
        daemon={"ip-forward": False},
        info={"IPv4Forwarding": False},
    ),
    Engine('"ip-forward": false, and the kernel forwards', WORKS, "", daemon={"ip-forward": False}),
    Engine('"bridge": "none"', WORKS, "images are built on the network of the host", daemon={"bridge": "none"}),
    Engine('"icc": false', WORKS, "it is for the default network only", daemon={"icc": False}),
    Engine(
        "default-network-opts that change who reaches whom",
        REFUSED,
        "they would change the networks of the stack",
        ("default-network-opts", "enable_icc"),
        daemon={"default-network-opts": {"bridge": {"com.docker.network.bridge.enable_icc": "false"}}},
    ),
    Engine(
        "the same as options of dockerd (--default-network-opt)",
        REFUSED,
        "as above",
        ("default-network-opts", "gateway_mode_ipv4", "command line"),
        flags=(
            "--default-network-opt=bridge=com.docker.network.driver.mtu=1400",
            "--default-network-opt",
            "bridge=com.docker.network.bridge.gateway_mode_ipv4=isolated",
        ),
    ),
    Engine(
        "default-network-opts for the MTU",
        WORKS,
        "",
        daemon={"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}}},
    ),
    Engine(
        "default-address-pools that hold the subnets of the stack",
        WORKS,
        "the stack names its subnets, and Docker gives none of them twice",
        daemon={"default-address-pools": [{"base": "10.0.0.0/8", "size": 24}]},
    ),
    Engine(
        "live-restore is off",
        TOLD,
        "containers stop with the engine",
        ("live-restore",),
        info={"LiveRestoreEnabled": False},
    ),
    Engine(
        "the engine is in a Swarm",
        TOLD,
        "live-restore cannot be on there",
        ("Swarm",),
        info={"Swarm": {"LocalNodeState": "active"}, "LiveRestoreEnabled": False},
    ),
    Engine(
        "the storage driver vfs", TOLD, "images take three times the room", ("vfs", "20 GiB"), info={"Driver": "vfs"}
    ),
    Engine("the storage drivers btrfs, zfs and fuse-overlayfs", WORKS, "", info={"Driver": "btrfs"}),
    Engine("control groups of version 1", WORKS, "", info={"CgroupVersion": "1"}),
    Engine(
        "log-driver journald, none or syslog",
        WORKS,
        "containers of the stack have json-file, so `./sse logs` shows all",
        info={"LoggingDriver": "journald"},
        daemon={"log-driver": "journald"},
    ),
    Engine(
        "a kernel without seccomp",
        TOLD,
        "containers may make every system call",
        ("seccomp",),
        info={"SecurityOptions": ["name=apparmor"]},
    ),
    Engine("AppArmor is off", WORKS, "", info={"SecurityOptions": ["name=seccomp,profile=builtin"]}),
    Engine(
        "selinux-enabled, and SELinux enforces its rules",
        REFUSED,
        "containers may not read files of the host, which have other labels",
        ("selinux-enabled", "/etc/docker/daemon.json"),
        info={"SecurityOptions": ["name=seccomp,profile=builtin", "name=selinux"]},
        traits={"selinux_enforces": True},
    ),
    Engine(
        "selinux-enabled, and SELinux only writes down what it would refuse",
        WORKS,
        "it refuses nothing",
        info={"SecurityOptions": ["name=seccomp,profile=builtin", "name=selinux"]},
        traits={"selinux_enforces": False},
    ),
    Engine(
        "SELinux enforces its rules, and the engine does not use it",
        WORKS,
        "",
        traits={"selinux_enforces": True},
    ),
    Engine(
        "a kernel that keeps no limit of memory, as on a Raspberry Pi",
        TOLD,
        "one container can take all memory",
        ("memory", "cgroup_enable=memory"),
        info={"MemoryLimit": False},
    ),
    Engine(
        "a kernel that keeps no limit of processes",
        TOLD,
        "one container can start processes without end",
        ("processes",),
        info={"PidsLimit": False},
    ),
    Engine(
        "another default runtime, such as nvidia, beside runc",
        WORKS,
        "containers of the stack run with runc",
        info={"DefaultRuntime": "nvidia", "Runtimes": {"nvidia": {}, "runc": {}}},
    ),
    Engine(
        "another runtime, and no runc",
        REFUSED,
        "the platform looks into the namespaces of containers",
        ("kata", "runc"),
        info={"DefaultRuntime": "kata", "Runtimes": {"kata": {}}},
    ),
    Engine(
        "another configuration file, with docker_restart_allowed",
        REFUSED,
        "the platform writes /etc/docker/daemon.json",
        ("/opt/daemon.json",),
        flags=("--config-file=/opt/daemon.json",),
        settings={"docker_restart_allowed": True},
    ),
    Engine(
        "another configuration file",
        WORKS,
        "it is read, and never written",
        flags=("--config-file", "/opt/daemon.json"),
    ),
    Engine(
        "options of dockerd that the platform would write, with docker_restart_allowed",
        REFUSED,
        "dockerd does not start when its file and its command line say the same",
        ("--live-restore",),
        flags=("--live-restore",),
        settings={"docker_restart_allowed": True},
    ),
]


class Environment(NamedTuple):
    """Variables that a user exported. HERE is the user's home, ROOT the checkout."""

    what: str
    variables: dict[str, str]
    gone: tuple[str, ...] = ()
    kept: dict[str, str] = {}  # noqa: RUF012


ENVIRONMENTS = [
    Environment(
        "PYTHONPATH, PYTHONHOME and PYTHONSTARTUP",
        {"PYTHONPATH": "HERE", "PYTHONHOME": "/nowhere", "PYTHONSTARTUP": "/x"},
        ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"),
    ),
    Environment(
        "PYTHONSAFEPATH, PYTHONINSPECT and PYTHONOPTIMIZE",
        {"PYTHONSAFEPATH": "1", "PYTHONINSPECT": "1", "PYTHONOPTIMIZE": "2"},
        ("PYTHONSAFEPATH", "PYTHONINSPECT", "PYTHONOPTIMIZE"),
    ),
    Environment(
        "PYTHONUTF8=0 and PYTHONIOENCODING=ascii",
        {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
        ("PYTHONUTF8", "PYTHONIOENCODING"),
    ),
    Environment(
        "PYTHON_GIL=0, with which a usual Python does not start, and other switches of newer ones",
        {"PYTHON_GIL": "0", "PYTHON_JIT": "1", "PYTHON_FROZEN_MODULES": "off"},
        ("PYTHON_GIL", "PYTHON_JIT", "PYTHON_FROZEN_MODULES"),
    ),
    Environment("PYTHONHASHSEED=x, with which no Python starts", {"PYTHONHASHSEED": "x"}, ("PYTHONHASHSEED",)),
    Environment("PYTHONWARNINGS=error", {"PYTHONWARNINGS": "error"}, ("PYTHONWARNINGS",)),
    Environment("a virtual environment that is active", {"VIRTUAL_ENV": "/home/me/other"}, ("VIRTUAL_ENV",)),
    Environment(
        "GIT_DIR and GIT_WORK_TREE, as in a hook of git",
        {"GIT_DIR": "/x", "GIT_WORK_TREE": "/y", "GIT_INDEX_FILE": "/z"},
        ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"),
    ),
    Environment("CDPATH", {"CDPATH": "/tmp:/"}, ("CDPATH",)),
    Environment(
        "ANSIBLE_CONFIG of another project",
        {"ANSIBLE_CONFIG": "/home/me/ansible.cfg"},
        (),
        {"ANSIBLE_CONFIG": "ROOT/ansible.cfg"},
    ),
    Environment(
        "ANSIBLE_COLLECTIONS_PATH, also in the old spelling",
        {"ANSIBLE_COLLECTIONS_PATH": "/c", "ANSIBLE_COLLECTIONS_PATHS": "/c"},
        ("ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_COLLECTIONS_PATHS"),
    ),
    Environment("ANSIBLE_STDOUT_CALLBACK", {"ANSIBLE_STDOUT_CALLBACK": "json"}, ("ANSIBLE_STDOUT_CALLBACK",)),
    Environment(
        "ANSIBLE_PYTHON_INTERPRETER of pyenv",
        {"ANSIBLE_PYTHON_INTERPRETER": "/home/me/.pyenv/shims/python3"},
        ("ANSIBLE_PYTHON_INTERPRETER",),
    ),
    Environment(
        "ANSIBLE_ROLES_PATH, ANSIBLE_LIBRARY and ANSIBLE_FILTER_PLUGINS",
        {"ANSIBLE_ROLES_PATH": "/r", "ANSIBLE_LIBRARY": "/l", "ANSIBLE_FILTER_PLUGINS": "/f"},
        ("ANSIBLE_ROLES_PATH", "ANSIBLE_LIBRARY", "ANSIBLE_FILTER_PLUGINS"),
    ),
    Environment(
        "ANSIBLE_STRATEGY, ANSIBLE_HASH_BEHAVIOUR and ANSIBLE_JINJA2_NATIVE",
        {"ANSIBLE_STRATEGY": "free", "ANSIBLE_HASH_BEHAVIOUR": "merge", "ANSIBLE_JINJA2_NATIVE": "1"},
        ("ANSIBLE_STRATEGY", "ANSIBLE_HASH_BEHAVIOUR", "ANSIBLE_JINJA2_NATIVE"),
    ),
    Environment(
        "ANSIBLE_RUN_TAGS and ANSIBLE_SKIP_TAGS",
        {"ANSIBLE_RUN_TAGS": "x", "ANSIBLE_SKIP_TAGS": "docker"},
        ("ANSIBLE_RUN_TAGS", "ANSIBLE_SKIP_TAGS"),
    ),
    Environment(
        "how hosts are reached, and secrets",
        {
            "ANSIBLE_PRIVATE_KEY_FILE": "/k",
            "ANSIBLE_VAULT_PASSWORD_FILE": "/v",
            "ANSIBLE_SSH_ARGS": "-C",
            "ANSIBLE_HOST_KEY_CHECKING": "0",
        },
        (),
        {
            "ANSIBLE_PRIVATE_KEY_FILE": "/k",
            "ANSIBLE_VAULT_PASSWORD_FILE": "/v",
            "ANSIBLE_SSH_ARGS": "-C",
            "ANSIBLE_HOST_KEY_CHECKING": "0",
        },
    ),
    Environment("no language (LANG=C)", {"LANG": "C"}, (), {"LC_ALL": "C.UTF-8"}),
    Environment("no language at all", {}, (), {"LC_ALL": "C.UTF-8"}),
    Environment(
        "a language that is not installed", {"LC_ALL": "xx_XX.UTF-8", "LANG": "xx_XX.UTF-8"}, (), {"LC_ALL": "C.UTF-8"}
    ),
    Environment("a language that is not UTF-8", {"LC_ALL": "POSIX"}, (), {"LC_ALL": "C.UTF-8"}),
    Environment("a home that does not exist", {"HOME": "HERE/nowhere"}, (), {"ANSIBLE_HOME": "ROOT/.ansible/home"}),
    Environment("no HOME", {"HOME": ""}),
    Environment("a TMPDIR that does not exist", {"TMPDIR": "HERE/nowhere"}, ("TMPDIR",)),
    Environment("TERM=dumb", {"TERM": "dumb"}, (), {"TERM": "dumb"}),
    Environment(
        "proxies in every spelling",
        {"HTTP_PROXY": "proxy:3128", "https_proxy": "http://proxy:3128/", "NO_PROXY": "*.local, 10.0.0.0/8 ,"},
        (),
        {"HTTP_PROXY": "proxy:3128"},
    ),
    Environment("PIP_PYTHON", {"PIP_PYTHON": "/usr/bin/python2"}, ("PIP_PYTHON",)),
]


# Variables of Ansible that end it at its start, before it can say why, and what ./sse says.
WRONG_VARIABLES = {
    "ANSIBLE_FORKS=many": "ANSIBLE_FORKS is 'many': expected a number",
    "ANSIBLE_TIMEOUT=10s": "ANSIBLE_TIMEOUT is '10s': expected a number",
    "ANSIBLE_VERBOSITY=vv": "ANSIBLE_VERBOSITY is 'vv': expected a number",
    "ANSIBLE_REMOTE_PORT=ssh": "ANSIBLE_REMOTE_PORT is 'ssh': expected a number",
    "ANSIBLE_PERSISTENT_CONNECT_TIMEOUT=inf": "ANSIBLE_PERSISTENT_CONNECT_TIMEOUT is 'inf': expected a number",
    "ANSIBLE_HOME=/dev/null/x": "ANSIBLE_HOME is '/dev/null/x': expected a directory",
}


class Pip(NamedTuple):
    """Settings of pip: what `pip config list` tells, and variables; and what is kept of them."""

    what: str
    listed: str = ""
    variables: dict[str, str] = {}  # noqa: RUF012
    kept: dict[str, str] = {}  # noqa: RUF012


INDEX = "https://index.example/simple"
PIPS = [
    Pip("none"),
    Pip("PIP_USER=1", ":env:.user='1'", {"PIP_USER": "1"}),
    Pip("user = true in pip.conf", "global.user='true'"),
    Pip("target, prefix and root in pip.conf", "global.target='/t'\ninstall.prefix='/p'\nglobal.root='/r'"),
    Pip("require-virtualenv", "global.require-virtualenv='true'", {"PIP_REQUIRE_VIRTUALENV": "1"}),
    Pip(
        "an index of one's own in pip.conf",
        f"global.index-url='{INDEX}'\nglobal.user='true'",
        {},
        {"PIP_INDEX_URL": INDEX},
    ),
    Pip(
        "an index of one's own in a variable", ":env:.index-url='x'", {"PIP_INDEX_URL": INDEX}, {"PIP_INDEX_URL": INDEX}
    ),
    Pip(
        "an index for install only",
        f"global.index-url='https://other.example'\ninstall.index-url='{INDEX}'",
        {},
        {"PIP_INDEX_URL": INDEX},
    ),
    Pip(
        "an index with a password that has a quote",
        'global.index-url="https://me:pa\'ss@example.org/simple"',
        {},
        {"PIP_INDEX_URL": "https://me:pa'ss@example.org/simple"},
    ),
    Pip(
        "several more indexes",
        "global.extra-index-url='\\nhttps://a\\nhttps://b'",
        {},
        {"PIP_EXTRA_INDEX_URL": "https://a https://b"},
    ),
    Pip(
        "a proxy and certificates",
        "global.proxy='http://p:1'\nglobal.cert='/c.pem'\nglobal.trusted-host='h'",
        {},
        {"PIP_PROXY": "http://p:1", "PIP_CERT": "/c.pem", "PIP_TRUSTED_HOST": "h"},
    ),
    Pip(
        "no-binary, no-deps, dry-run and constraint",
        "global.no-binary=':all:'\ninstall.no-deps='true'",
        {"PIP_DRY_RUN": "1", "PIP_CONSTRAINT": "/c", "PIP_NO_DEPS": "1"},
    ),
    Pip(
        "a bundle: only its wheels",
        "",
        {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "wheels"},
        {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "wheels"},
    ),
]


class Proxy(NamedTuple):
    """Where a host has proxies configured, and what a build of an image is given of them."""

    what: str
    given: tuple[str, str, str] = ("", "", "")  # HTTP_PROXY, HTTPS_PROXY, NO_PROXY
    place: str = ""
    client: dict[str, Any] = {}  # noqa: RUF012 - `proxies` of config.json
    variables: dict[str, str] = {}  # noqa: RUF012
    file: str = ""  # /etc/environment
    daemon: dict[str, Any] = {}  # noqa: RUF012 - dockerd's configuration file
    flags: tuple[str, ...] = ()
    environ: str = ""  # dockerd's environment


P, Q = "http://me:p%40ss@proxy.example:3128", "http://other.example:8080"
UNREADABLE = "http://me:S3cret#1@proxy.example:3128"
BUILT_THROUGH = [
    Proxy("nothing"),
    Proxy(
        "HTTP_PROXY, HTTPS_PROXY and NO_PROXY in the environment, also before sudo",
        (P, Q, "localhost,.corp.example"),
        "the environment",
        variables={"HTTP_PROXY": P, "HTTPS_PROXY": Q, "NO_PROXY": "localhost,.corp.example"},
    ),
    Proxy(
        "both spellings: the lower one counts",
        (P, P, "a"),
        "the environment",
        variables={"HTTP_PROXY": Q, "http_proxy": P, "https_proxy": P, "NO_PROXY": "b", "no_proxy": "a"},
    ),
    Proxy(
        "an address without a scheme, and NO_PROXY with stars and spaces",
        ("http://proxy.example:3128", "", ".local,10.0.0.0/8,b"),
        "the environment",
        variables={"HTTP_PROXY": " proxy.example:3128", "NO_PROXY": "*.local, 10.0.0.0/8 ,b b"},
    ),
    Proxy("ALL_PROXY", (P, P, ""), "the environment", variables={"all_proxy": P}),
    Proxy("a proxy that speaks SOCKS only", variables={"ALL_PROXY": "socks5h://proxy.example:1080"}),
    Proxy("an address with a wrong port, also where it has # in its password", variables={"HTTP_PROXY": UNREADABLE}),
    Proxy(
        "the same, and a good one in /etc/environment",
        (P, "", ""),
        "/etc/environment",
        variables={"HTTP_PROXY": UNREADABLE},
        file=f"http_proxy={P}\n",
    ),
    Proxy("NO_PROXY alone", variables={"NO_PROXY": "localhost"}),
    Proxy("empty variables", variables={"HTTP_PROXY": "", "https_proxy": ""}),
    Proxy(
        "/etc/environment, with quotes and export",
        (P, "", "a"),
        "/etc/environment",
        file=f'# http_proxy="x"\nPATH=/bin\nexport http_proxy="{P}"\nNO_PROXY=\'a\'\n',
    ),
    Proxy(
        "/etc/environment, with comments behind, line ends of Windows and spaces around =",
        (P, Q, ""),
        "/etc/environment",
        file=f'http_proxy = "{P}" # of the office\r\nHTTPS_PROXY={Q}\r\nno equals sign\r\n',
    ),
    Proxy(
        "`proxies` of Docker's config.json, before the environment",
        (P, "", "a"),
        "Docker's config.json",
        client={"default": {"httpProxy": P, "noProxy": "a"}},
        variables={"HTTPS_PROXY": Q},
    ),
    Proxy(
        "`proxies` of Docker's config.json for one engine",
        (P, "", ""),
        "Docker's config.json",
        client={"unix:///var/run/docker.sock": {"httpProxy": P}, "default": {"httpProxy": Q}},
    ),
    Proxy(
        "a drop-in of systemd for dockerd",
        (P, Q, "a"),
        "dockerd's environment",
        environ=f"PATH=/bin\0HTTP_PROXY={P}\0HTTPS_PROXY={Q}\0NO_PROXY=a\0",
    ),
    Proxy(
        "`proxies` in daemon.json",
        (P, Q, "a"),
        "dockerd's configuration",
        daemon={"proxies": {"http-proxy": P, "https-proxy": Q, "no-proxy": "a"}},
        environ=f"HTTP_PROXY={Q}\0",
    ),
    Proxy("options of dockerd", (P, "", ""), "dockerd's configuration", flags=(f"--http-proxy={P}",)),
]


class Apt(NamedTuple):
    """What apt of a host has configured, and which proxy the packages of Debian come through."""

    what: str
    configuration: str
    through: str
    mirror: str = "http://deb.example.org/debian"


APTS = [
    Apt("nothing", "", Q),
    Apt("Acquire::http::Proxy", f'Acquire::http::Proxy "{P}";', P),
    Apt("Acquire::http::Proxy for one host", f'Acquire::http::Proxy::deb.example.org "{P}";', P),
    Apt("Acquire::http::Proxy for another host", f'Acquire::http::Proxy::other.example "{P}";', Q),
    Apt("DIRECT", 'Acquire::http::Proxy "DIRECT";', ""),
    Apt(
        "DIRECT for the host of the mirror",
        f'Acquire::http::Proxy "{P}"; Acquire::http::Proxy::deb.example.org "DIRECT";',
        "",
    ),
    Apt(
        "Acquire::http::Proxy, and a mirror over https", f'Acquire::http::Proxy "{P}";', P, "https://deb.example.org/d"
    ),
    Apt(
        "Acquire::https::Proxy",
        f'Acquire::http::Proxy "{Q}"; Acquire::https::Proxy "{P}";',
        P,
        "https://deb.example.org/d",
    ),
    Apt("a program that finds the proxy", 'Acquire::http::Proxy-Auto-Detect "DETECT";', P),
]


class Sudo(NamedTuple):
    """What sudo does for a user, as a script; without one, it is not installed."""

    what: str
    script: str
    state: str
    said: str = ""


SUDOS = [
    Sudo("it asks for nothing", "exit 0", "silent"),
    Sudo("it asks for a password", "echo 'sudo: a password is required' >&2; exit 1", "password"),
    Sudo("it is not installed", "", "impossible", "not installed"),
    Sudo(
        "the flag no new privileges is set",
        "echo 'sudo: The \"no new privileges\" flag is set, which prevents sudo from running as root.' >&2; exit 1",
        "impossible",
        "no new privileges",
    ),
    Sudo(
        "it is not setuid",
        "echo 'sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set' >&2; exit 1",
        "impossible",
        "setuid",
    ),
    Sudo(
        "the disk is mounted nosuid",
        "echo \"sudo: effective uid is not 0, is sudo on a file system with the 'nosuid' option set\" >&2; exit 1",
        "impossible",
        "nosuid",
    ),
    Sudo("the user is in no rule", "echo 'me is not in the sudoers file.' >&2; exit 1", "impossible", "sudoers"),
    Sudo(
        "the user may run nothing here",
        "echo 'Sorry, user me may not run sudo on host.' >&2; exit 1",
        "impossible",
        "may not run",
    ),
    Sudo("its rules are broken", "echo '/etc/sudoers:1:1: syntax error' >&2; exit 1", "impossible", "syntax error"),
    Sudo(
        "the user has no name",
        "echo 'sudo: you do not exist in the passwd database' >&2; exit 1",
        "impossible",
        "do not exist",
    ),
    Sudo("it wants a terminal", "echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1", "impossible", "tty"),
    Sudo(
        "it cannot resolve the machine's name, and works",
        "echo 'sudo: unable to resolve host x: Name or service not known' >&2; exit 0",
        "silent",
    ),
    Sudo(
        "it cannot resolve the machine's name, and asks",
        "echo 'sudo: unable to resolve host x' >&2; echo 'sudo: a password is required' >&2; exit 1",
        "password",
    ),
    Sudo(
        "the account is locked",
        "echo 'sudo: account validation failure, is your account locked?' >&2; exit 1",
        "impossible",
        "locked",
    ),
    Sudo(
        "the password or the account has expired",
        "echo 'sudo: Account or password is expired, reset your password and try again' >&2; exit 1",
        "impossible",
        "expired",
    ),
    Sudo("it is sudo-rs, and asks", "echo 'sudo: interactive authentication is required' >&2; exit 1", "password"),
    Sudo(
        "it is sudo-rs, and the user is in no rule",
        """echo "sudo: I'm sorry me. I'm afraid I can't do that" >&2; exit 1""",
        "impossible",
        "afraid",
    ),
    Sudo(
        "it is sudo-rs, and its rules are broken",
        "echo 'sudo: invalid configuration: /etc/sudoers:1:1' >&2; exit 1",
        "impossible",
        "invalid configuration",
    ),
    Sudo("it hangs", "exec sleep 30", "impossible", "within"),
]


class Wall(NamedTuple):
    """Something on a host that keeps a stack from running there, and the way on."""

    what: str
    way: str  # for the page
    said: str  # the part of the refusal that tells the way
    host: dict[str, Any]
    settings: dict[str, Any] = {}  # noqa: RUF012


GIB = 2**30
VPN = [{"destination": one, "device": "tun0"} for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
TAKEN = {"name": "sse-redis", "labels": {}, "ports": [], "state": "running"}
WALLS = [
    Wall(
        "another distribution or version",
        "a host with one of the supported ones",
        "expected debian 12 and 13",
        {"distribution": {"id": "fedora", "version": "43"}},
    ),
    Wall("another architecture", "a host with a supported one", "expected amd64 or arm64", {"architecture": "riscv64"}),
    Wall("no root", "log in as root, or `ansible_become=true`", "ansible_become=true", {"is_root": False}),
    Wall("a daemon.json that is no JSON", "correct or remove it", "correct or remove it", {"daemon_json": None}),
    Wall(
        "too little memory",
        "fewer replicas, smaller limits",
        "app_replicas or the *_memory variables",
        {"memory_bytes": GIB // 2},
    ),
    Wall(
        "too little room for data",
        "make room, or another `stack_state_directory`",
        "stack_state_directory",
        {"disk_free_bytes": {"/var/lib/sse-platform": GIB // 2}},
    ),
    Wall(
        "a state directory on a read-only file system",
        "mount it for writing, or another `stack_state_directory`",
        "choose another stack_state_directory",
        {"state_mount": {"place": "/", "type": "ext4", "read_only": True}},
    ),
    Wall(
        "a state directory on a disk or a share of Windows, also in WSL2 (/mnt/c)",
        "another `stack_state_directory`",
        "Choose another stack_state_directory",
        {"state_mount": {"place": "/mnt/c", "type": "drvfs", "read_only": False}},
    ),
    Wall(
        "a link in place of the data of a container",
        "mount the other disk there, or `stack_state_directory`; that one may be a link itself",
        "(mount --bind /big /var/lib/sse-platform/data/sse-redis, with a line in /etc/fstab)",
        {"data_links": {"/var/lib/sse-platform/data/sse-redis": "/big"}},
    ),
    Wall(
        "too little room for images",
        "make room, or another `data-root`",
        "data-root",
        {"disk_free_bytes": {"/var/lib/docker": GIB}, "images": {}},
    ),
    Wall(
        "a file system with bytes left, and no inodes",
        "remove files there, or another `stack_state_directory` or `data-root`",
        "du -x --inodes",
        {"disk_free_inodes": {"/var/lib/sse-platform": 0}},
    ),
    Wall(
        "a container of somebody else with a name of the stack",
        "another `stack_name`",
        "another stack_name",
        {"containers": [TAKEN]},
    ),
    Wall(
        "a port that a process holds",
        "stop it, or another port",
        "choose another redis_port",
        {"listeners": [{"protocol": "tcp", "address": "127.0.0.1", "port": 6379, "process": "x (pid 7)"}]},
    ),
    Wall(
        "a port that systemd holds for a service",
        "the command that frees it, or another port",
        "systemctl disable --now redis.socket redis.service",
        {
            "listeners": [
                {
                    "protocol": "tcp",
                    "address": "127.0.0.1",
                    "port": 6379,
                    "process": "redis.socket of systemd, which starts redis.service (pid 1)",
                }
            ]
        },
    ),
    Wall(
        "a VPN that holds all private addresses",
        "`network_overlap_allowed`",
        "network_overlap_allowed=true",
        {"routes": VPN},
    ),
    Wall(
        "a VPN that holds the subnet of the stack",
        "`network_subnet`: a free one is proposed",
        "is free",
        {"routes": VPN[:1]},
    ),
    Wall(
        "a network of somebody else with the name of the stack's",
        "another `network_name`",
        "another network_name",
        {
            "networks": [
                {
                    "name": "sse-network",
                    "driver": "bridge",
                    "subnets": ["10.0.0.0/24"],
                    "gateway": "",
                    "ip_range": "",
                    "ipv6": None,
                    "internal": False,
                    "labels": {},
                    "device": "b",
                    "containers": [],
                }
            ]
        },
    ),
    Wall(
        "IPv6 is off, and `network_ipv6` is true",
        "turn it on, or `network_ipv6=false`",
        "set network_ipv6 to false",
        {"ipv6": False},
        {"network_ipv6": True, "network_ipv6_subnet": "fd00:99::/64"},
    ),
    Wall(
        "a kernel without br_netfilter, and segments",
        "`network_layout=single`",
        "expected single",
        {"bridge_filter": "none"},
        {"network_layout": "segmented", "network_segment_subnets": {}},
    ),
    Wall(
        "`exposure_allow_from` leaves out who connects by SSH",
        "a list that holds them",
        "expected a list that holds it",
        {"ssh_client": "198.51.100.7"},
        {"exposure_allow_from": ["192.0.2.0/24"]},
    ),
    Wall(
        "a way to start the engine at boot that does not work",
        "another `docker_start_at_boot`",
        "Expected one of none",
        {"service_manager": "none"},
        {"docker_start_at_boot": "rc.local"},
    ),
]

# Where a checkout may lie, and what ./sse says where it does not work there.
PLACES = {
    "a path with spaces": "",
    "a path with a quote": "",
    "a path with letters beyond ASCII": "",
    "a path with a colon": "a path with a colon cannot be in PATH",
    "a full disk": "has 10 MiB free: the Python environment needs",
    "a disk with bytes left, and no inodes": "takes 9 more files: the Python environment needs",
    "a disk that does not count its files, such as btrfs": "",
    "a disk that is mounted noexec": "mounted noexec",
}

HEAD = """# Hosts: what is supported, and what is refused

Debian 12 and 13 and Ubuntu 22.04 and 24.04 on amd64 and arm64, with Docker Engine 20.10 or newer. What is refused is
refused before anything changes, with what was found, what is expected and what to do. This page is written from the
tables of the tests: `python tests/strange_hosts.py`.
"""


def table(rows: list[Engine]) -> str:
    lines = ["| what the host has | result | why |", "|---|---|---|"]
    lines += [f"| {one.what} | {one.outcome} | {one.why or 'nothing depends on it'} |" for one in rows]
    return "\n".join(lines)


SUDO_RESULTS = {"silent": "it is used", "password": "the password is asked for", "impossible": "refused at once"}


def kept_or_gone(one: Environment) -> str:
    """Say what happens to variables of a user."""
    own = {name: value for name, value in one.kept.items() if value != one.variables.get(name)}
    if own:
        return ", ".join(f"takes {name}={value}" for name, value in own.items()).replace("ROOT", "CHECKOUT")
    return "leaves them out" if one.gone else "keeps them"


def kept_of(one: Pip) -> str:
    """Say what is kept of settings of pip."""
    return f"keeps {', '.join(one.kept)}" if one.kept else "leaves it out"


def given_of(one: Proxy) -> str:
    """Say what a build gets."""
    names = [name for name, value in zip(("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"), one.given, strict=True) if value]
    return f"{', '.join(names)}, from {one.place}" if names else "nothing"


def page() -> str:
    """Return the text of docs/hosts.md."""
    parts = [
        HEAD,
        "## Engines",
        "",
        "Every command and task works with the engine of `/var/run/docker.sock`, whatever DOCKER_HOST or a context",
        "chooses.",
        "",
        table(ENGINES),
        "",
        "## Builds behind a proxy",
        "",
        "A build of an image gets the proxies of the host by Docker's own build arguments, so neither the image nor",
        "its history holds them, nor does a stage that the engine keeps. The first place that names a proxy counts. No",
        "output shows an address, which may hold a password. A proxy on the host's loopback is reached through the",
        "host's network.",
        "",
        "| what the host has | what a build gets |",
        "|---|---|",
        *(f"| {one.what} | {given_of(one)} |" for one in BUILT_THROUGH),
        "",
        "For packages of Debian, the configuration of apt goes first, also for single hosts and with a program that",
        "finds the proxy (`Proxy-Auto-Detect`). pip, npm and Maven get their configuration files of the host, too, and",
        "trust the authorities that the host trusts, such as that of a proxy that intercepts TLS. Where Debian's",
        "packages come over https, images made from them also trust what is in `/usr/local/share/ca-certificates`.",
        "Where dockerd has a proxy, it is asked whether the image registry answers.",
        "",
        "Where `pip.conf`, `.npmrc` or Maven's `settings.xml` of the host hold credentials, the stages that use the",
        "file hold them, too, and so does the image `node`, which only builds use. No image that runs does. The engine",
        "keeps a stage as long as its image is there, and whoever may use the engine can read it.",
        "",
        "## What else is refused, and the way on",
        "",
        "| what is in the way | the way on |",
        "|---|---|",
        *(f"| {one.what} | {one.way} |" for one in WALLS),
        "",
        "## The first command",
        "",
        "`./sse` prepares a Python environment of its own. What was exported for other projects leads nothing astray:",
        "",
        "| what the user has | what `./sse` does |",
        "|---|---|",
        *(f"| {one.what} | {kept_or_gone(one)} |" for one in ENVIRONMENTS),
        *(f"| pip: {one.what} | {kept_of(one)} |" for one in PIPS[1:]),
        *(f"| `{pair}` | refuses it: {said} |" for pair, said in WRONG_VARIABLES.items()),
        "",
        "An old or broken `python3` first in PATH, also of pyenv, is passed over, and the distribution's is taken. A",
        "commit is recorded also where the checkout belongs to another user. A checkout that is read-only works when",
        "its owner has prepared it, and is refused before.",
        "",
        "| where the checkout lies | result |",
        "|---|---|",
        *(f"| {what} | {'refused: ' + said if said else 'works'} |" for what, said in PLACES.items()),
        "",
        "A verb that needs root on this machine tries sudo first, which takes less than a second where it can run:",
        "",
        "| sudo | result |",
        "|---|---|",
        *(f"| {one.what} | {SUDO_RESULTS[one.state]} |" for one in SUDOS),
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE} is written\n")
