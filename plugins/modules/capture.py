# Copyright: sse.platform maintainers
# MIT License
"""Capture packets inside a container's network namespace, without a tool in its image or on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: capture
short_description: Capture packets inside a container's network namespace
description:
  - Opens a packet socket in the namespace of a running container and keeps what passes, bounded in time and in size.
    Needs no tcpdump. Changes nothing.
options:
  source:
    description: The container, by full name, short name or service; or C(host).
    type: str
    required: true
  port:
    description: Keep only packets of this TCP or UDP port.
    type: int
  seconds:
    description: How long, at most 300.
    type: int
    default: 10
  size:
    description: Bytes of the file, at most 33554432 (32 MiB); it travels to the controller as one piece.
    type: int
    default: 4194304
  snap:
    description: Bytes kept of each packet. The default holds the headers and the beginning of what they carry.
    type: int
    default: 256
  stack:
    description: Name of the stack whose short names are meant.
    type: str
    default: sse
author:
  - sse.platform maintainers (@sse-platform)
"""

EXAMPLES = r"""
- name: See who talks to the broker
  sse.platform.capture:
    source: sse-kafka
    port: 9092
"""

RETURN = r"""
pcap:
  description: The file, compressed by zlib, in base64.
  returned: success
  type: str
packets:
  description: How many are in it.
  returned: success
  type: int
dropped:
  description: Packets that came faster than they could be taken.
  returned: success
  type: int
full:
  description: Whether the size was reached before the time.
  returned: success
  type: bool
lines:
  description: Who talked to whom, for people.
  returned: success
  type: list
  elements: str
"""

import base64
import os
import zlib
from functools import partial

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.doctor import asked_connection as ways
from ansible_collections.sse.platform.plugins.module_utils.doctor.gather import facts
from ansible_collections.sse.platform.plugins.module_utils.host import capture, namespace

MOST = 20  # conversations that are told: one screen
BOUNDS = {"port": (1, 65535), "seconds": (1, 300), "size": (1024, 32 << 20), "snap": (64, 65535)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "str", "required": True},
            "port": {"type": "int"},
            "seconds": {"type": "int", "default": 10},
            "size": {"type": "int", "default": 4 << 20},
            "snap": {"type": "int", "default": 256},
            "stack": {"type": "str", "default": "sse"},
        },
        supports_check_mode=True,
    )
    asked = module.params
    for name, (lowest, highest) in BOUNDS.items():
        if asked[name] is not None and not lowest <= asked[name] <= highest:
            module.fail_json(msg=f"{name} is {asked[name]}: accepted is {lowest} to {highest}")
    work = partial(capture.capture, asked["port"], asked["seconds"], asked["size"], asked["snap"], MOST)
    try:
        pid = (
            os.getpid()
            if asked["source"] == ways.HOST
            else ways.meant(facts.known(asked["stack"]), asked["source"])["pid"]
        )
        found = namespace.inside(pid, work)
    except (ways.WayError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        pcap=base64.b64encode(zlib.compress(found.file, 1)).decode(),
        **{name: getattr(found, name) for name in ("packets", "dropped", "full", "lines")},
    )


if __name__ == "__main__":
    main()
