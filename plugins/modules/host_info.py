# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Observe a host: what it is, what runs there, and what its engine holds."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_info
short_description: Observe a host before anything is decided
version_added: 0.1.0
description:
  - Reports distribution, memory, disk, interfaces, routes, listeners, and the engine with its networks, containers
    and images, in one process. Needs neither Docker nor its Python library.
extends_documentation_fragment:
  - sse.platform.attributes
  - sse.platform.attributes.read_only
  - sse.platform.stack.directory
options:
  state_directory: {}
  run:
    description: >-
      What the run says of itself, as the facts C(this_run) and C(this_controller) of M(sse.platform.settings) together.
      With it, the module fails where another run changes this stack. Without it, nothing is asked about the lock.
    type: dict
    default: {}
  wait:
    description: How many seconds to wait for another run that changes this stack.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Observe the host
  sse.platform.host_info:
    state_directory: /var/lib/sse-platform
  register: host
"""

RETURN = r"""
name:
  description: What the host calls itself.
  returned: always
  type: str
names:
  description: The same, and the longer forms of it in C(/etc/hosts), such as V(host.example.org).
  returned: always
  type: list
  elements: str
distribution:
  description: Id, version and codename of the distribution.
  returned: always
  type: dict
architecture:
  description: Architecture of the machine, by the name that Debian gives it.
  returned: always
  type: str
service_manager:
  description: One of V(systemd), V(init) and V(none).
  returned: always
  type: str
start_at_boot:
  description: >-
    How a host without a service manager can start the engine at boot: what does so now (C(present)), what this host has
    (C(usable)), and why something cannot be used (C(conflicts)).
  returned: always
  type: dict
is_root:
  description: Whether the module ran as root.
  returned: always
  type: bool
memory_bytes:
  description: Memory of the machine in bytes.
  returned: always
  type: int
cores:
  description: How many processors the machine has for this run.
  returned: always
  type: int
disk_free_bytes:
  description: Free bytes of the directory of the engine and of the state directory, by path.
  returned: always
  type: dict
disk_free_inodes:
  description: >-
    How many more files fit into the directory of the engine and the state directory, by path. A file system that does
    not count them is left out.
  returned: always
  type: dict
disk_size_bytes:
  description: Size of the disk of the state directory in bytes, by path.
  returned: always
  type: dict
state_mount:
  description: >-
    The file system of the state directory. Where it is mounted, its type, and whether it is read-only or noexec.
  returned: always
  type: dict
clock:
  description: The time of the host in seconds since 1970.
  returned: always
  type: float
overcommit_memory:
  description: The kernel setting C(vm.overcommit_memory).
  returned: always
  type: int
overcommit_writable:
  description: Whether C(vm.overcommit_memory) can be set on this host.
  returned: always
  type: bool
bridge_filter:
  description: >-
    Whether the firewall sees packets between two containers of one bridge. V(on), V(off), V(loadable) when the kernel
    module C(br_netfilter) is not loaded yet, or V(none) when the kernel does not have it.
  returned: always
  type: str
firewall:
  description: Path of the C(iptables) program that holds the chain C(DOCKER-USER), or empty.
  returned: always
  type: str
firewall6:
  description: Path of the C(ip6tables) program that the engine manages, or empty.
  returned: always
  type: str
ipv6:
  description: Whether the kernel has IPv6 and it is switched on.
  returned: always
  type: bool
ipv6_routes_lost:
  description: Interfaces that lose their IPv6 default route when the host forwards IPv6.
  returned: always
  type: list
  elements: str
ssh_client:
  description: Address of the controller when it is connected over SSH, or empty.
  returned: always
  type: str
dockerd:
  description: Path of an installed engine, running or not, or empty.
  returned: always
  type: str
dockerd_pid:
  description: Process id of a running engine, even when it does not answer, or null.
  returned: always
  type: int
daemon_json:
  description: The configuration file of the engine, or null when it is not valid.
  returned: always
  type: dict
engine:
  description: The running engine, or null.
  returned: always
  type: dict
engine_error:
  description: Why no engine was found.
  returned: always
  type: str
surroundings:
  description: >-
    What else decides where commands of Docker go: what is at the path of the socket, variables such as C(DOCKER_HOST),
    the context of the docker command, the user of the engine, and why the Docker SDK cannot be used.
  returned: always
  type: dict
networks:
  description: The networks of the engine.
  returned: always
  type: list
  elements: dict
interfaces:
  description: The interfaces with their addresses, except link-local ones.
  returned: always
  type: list
  elements: dict
routes:
  description: The routes of every table.
  returned: always
  type: list
  elements: dict
uplink_mtu:
  description: The largest packet in bytes that the interface of the default route carries.
  returned: always
  type: int
listeners:
  description: The listeners of the host, with their processes.
  returned: always
  type: list
  elements: dict
containers:
  description: The containers of the engine, also stopped ones.
  returned: always
  type: list
  elements: dict
images:
  description: Ids of the images by their references.
  returned: always
  type: dict
kept:
  description: What the newest releases of the stack on this host say of where its data are.
  returned: always
  type: dict
last_given:
  description:
    What C(-e) gave to the last C(./sse up), C(scale) or C(restore) whose release came to run, by name; null for what
    can hold a secret.
  returned: always
  type: dict
backup_timer:
  description: Whether a timer on this host makes backups of the stack.
  returned: always
  type: bool
data_markers:
  description: What each C(meta.properties) in a data directory of a container says, by that directory.
  returned: always
  type: dict
data_links:
  description: What is a link in place of a data directory of a container, and where it leads.
  returned: always
  type: dict
"""

import os
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import run_lock
from ansible_collections.sse.platform.plugins.module_utils.host import machine
from ansible_collections.sse.platform.plugins.module_utils.model import elsewhere
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.history import FILE, last_given
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state_directory": {"type": "path"},
            "run": {"type": "dict", "default": {}},
            "wait": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    run, directory = module.params["run"], module.params["state_directory"]
    if run and directory:
        try:
            run_lock.wait(directory, run, module.params["wait"])
        except run_lock.LockedError as error:
            module.fail_json(msg=str(error))
    # The history is for root alone.
    given = last_given(directory) if directory and os.access(Path(directory) / FILE, os.R_OK) else {}
    kept = kept_stack(directory) if directory and os.access(Path(directory) / "releases", os.R_OK | os.X_OK) else {}
    module.exit_json(
        **{**machine.observe(directory), "clock": time.time(), "changed": False, "last_given": given, "kept": kept}
    )


def kept_stack(directory: str) -> dict[str, Any]:
    """Return which containers keep data, and what the stack uses elsewhere; nothing where no release can be read."""
    try:
        releases = newest_releases(directory)
    except SpecError:
        return {}
    containers = (one for release in releases for one in release["containers"].items())
    return {
        "containers": [name for name, spec in containers if spec["data"]],
        "elsewhere": [{**one, "program": ""} for __, one in elsewhere.of_releases(releases)],
    }


if __name__ == "__main__":
    main()
