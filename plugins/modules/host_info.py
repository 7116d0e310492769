# Copyright: sse.platform maintainers
# MIT License
"""Observe a host: what it is, what runs there, and what its engine holds."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_info
short_description: Observe a host before anything is decided
description:
  - Reports distribution, memory, disk, interfaces, routes, listeners, and the engine with its networks, containers
    and images, in one process. Changes nothing, and needs neither Docker nor its SDK.
options:
  stack:
    description: Name of the stack, to find its data.
    type: str
    default: sse
  state_directory:
    description: Directory of the stack's state on this host. Its free space and Kafka's data in it are reported.
    type: path
author:
  - sse.platform maintainers (@sse-platform)
"""

EXAMPLES = r"""
- name: Observe the host
  sse.platform.host_info:
    state_directory: /var/lib/sse-platform
  register: host
"""

RETURN = r"""
distribution:
  description: Id, version and codename.
  returned: always
  type: dict
architecture:
  description: The machine's, in Debian's words.
  returned: always
  type: str
service_manager:
  description: One of systemd, init and none.
  returned: always
  type: str
is_root:
  description: Whether the module ran as root.
  returned: always
  type: bool
memory_bytes:
  description: The machine's memory.
  returned: always
  type: int
disk_free_bytes:
  description: Free bytes of the engine's directory and of the state directory, by path.
  returned: always
  type: dict
overcommit_memory:
  description: The kernel's vm.overcommit_memory.
  returned: always
  type: int
overcommit_writable:
  description: Whether vm.overcommit_memory can be set here.
  returned: always
  type: bool
bridge_filter:
  description: >-
    Whether the firewall sees what passes between two containers of one bridge: C(on), C(off), C(loadable) where the
    module br_netfilter is not loaded yet, C(none) where the kernel has none.
  returned: always
  type: str
firewall:
  description: Path of the iptables that holds the chain DOCKER-USER; empty where none does.
  returned: always
  type: str
firewall6:
  description: The same for IPv6, of the ip6tables that the engine manages; empty where it does not.
  returned: always
  type: str
ipv6:
  description: Whether the kernel has IPv6, and it is not switched off.
  returned: always
  type: bool
ipv6_routes_lost:
  description: Devices whose IPv6 default route is lost once the host forwards IPv6.
  returned: always
  type: list
  elements: str
ssh_client:
  description: Address that this run comes from by SSH; empty where it does not.
  returned: always
  type: str
dockerd:
  description: Path of an installed engine, running or not; empty where there is none.
  returned: always
  type: str
dockerd_pid:
  description: Process id of a running engine, whether it answers or not; null where there is none.
  returned: always
  type: int
daemon_json:
  description: The engine's configuration file, null where it is not valid.
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
networks:
  description: The engine's networks.
  returned: always
  type: list
  elements: dict
interfaces:
  description: Interfaces with addresses, by family; link-local ones are left out.
  returned: always
  type: list
  elements: dict
routes:
  description: Routes of every table, by family.
  returned: always
  type: list
  elements: dict
uplink_mtu:
  description: The largest packet, in bytes, that the device of the default route carries.
  returned: always
  type: int
listeners:
  description: Listening sockets with their processes.
  returned: always
  type: list
  elements: dict
containers:
  description: The engine's containers, stopped ones too.
  returned: always
  type: list
  elements: dict
images:
  description: Image ids by reference.
  returned: always
  type: dict
kafka_data:
  description: Cluster id and format of Kafka's data, or null.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.host import machine


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "default": "sse"},
            "state_directory": {"type": "path"},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **machine.observe(module.params["stack"], module.params["state_directory"]))


if __name__ == "__main__":
    main()
