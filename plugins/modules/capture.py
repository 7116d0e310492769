# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Capture packets inside the network namespace of a container, without a tool in its image or on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: capture
short_description: Capture packets inside the network namespace of a container
version_added: 0.1.0
description:
  - Opens a packet socket in the network namespace of a running container, and keeps the packets that pass there.
  - The capture ends after some seconds, or earlier when the file is full.
  - Neither the image of the container nor the host needs C(tcpdump).
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.read_only, sse.platform.stack]
options:
  source:
    description: The container, by its full name, its short name or its service. V(host) is the host itself.
    type: str
    required: true
  port:
    description: Keep only the packets of this TCP or UDP port.
    type: int
  seconds:
    description: How many seconds to capture, from 1 to 300.
    type: int
    default: 10
  size:
    description: The largest file in bytes, from 1024 to 33554432. It travels to the controller in one piece.
    type: int
    default: 4194304
  snap:
    description: How many bytes to keep of each packet, from 64 to 65535. The default keeps headers and some content.
    type: int
    default: 256
  stack: {default: sse}
"""

EXAMPLES = r"""
- name: See which containers talk to the broker
  sse.platform.capture:
    source: sse-kafka
    port: 9092
"""

RETURN = r"""
pcap:
  description: The file in the format of pcap, compressed with zlib and encoded in base64.
  returned: success
  type: str
packets:
  description: How many packets are in the file.
  returned: success
  type: int
dropped:
  description: How many packets are missing because they came too fast.
  returned: success
  type: int
full:
  description: Whether the capture ended early because the file was full.
  returned: success
  type: bool
lines:
  description: Which address talked to which other address, one conversation a line.
  returned: success
  type: list
  elements: str
"""

import base64
import os
import zlib
from functools import partial

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.doctor.asked_connection import SourceError, source_called
from ansible_collections.sse.platform.plugins.module_utils.doctor.gather.engine import containers
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import THE_HOST
from ansible_collections.sse.platform.plugins.module_utils.host import capture, namespace

MOST = 20  # lines of conversations: they fit on one screen
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
            module.fail_json(msg=f"{name} is {asked[name]}: expected an integer from {lowest} to {highest}")
    work = partial(capture.capture, asked["port"], asked["seconds"], asked["size"], asked["snap"], MOST)
    try:
        name = asked["source"]
        pid = os.getpid() if name == THE_HOST else source_called(containers(asked["stack"]), name)["pid"]
        found = namespace.inside(pid, work)
    except (SourceError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        pcap=base64.b64encode(zlib.compress(found.file, 1)).decode(),
        **{name: getattr(found, name) for name in ("packets", "dropped", "full", "lines")},
    )


if __name__ == "__main__":
    main()
