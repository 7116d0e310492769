"""Who listens is read from the kernel's tables of sockets, and told with its process."""

from __future__ import annotations

import socketserver

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.listeners import (
    SYSTEMD,
    Listener,
    host_listeners,
    parse,
    units_by_port,
    way_to_stop,
    who,
)
from ansible_collections.sse.platform.plugins.module_utils.verify import outside

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 71234 1 0 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 71235 1 0 100 0 0 10 0
   2: 0100007F:9C40 0100007F:18EB 01 00000000:00000000 00:00000000 00000000     0        0 71236 1 0 100 0 0 10 0
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retr
   0: 00000000000000000000000000000000:0051 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0 0 0 0 9 1
   1: 0000000000000000FFFF00000100007F:0052 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0 0 0 0 8 1
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   1: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 555 2 0 0
   2: 0100007F:0036 0100007F:0035 01 00000000:00000000 00:00000000 00000000   101        0 556 2 0 0
"""
TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0B00580A:C350 0A00580A:1F90 01 00000000:00000000 00:00000000 00000000     0        0 2 1
"""
TABLE6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retr
   0: 00000000000000000000000000000000:2384 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0 0 0 0 3 1
   1: 0000000000000000FFFF00000100007F:2385 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0 0 0 0 4 1
"""


def test_only_what_listens_is_a_listener() -> None:
    assert parse("tcp", TCP) == [Listener("127.0.0.1", 6379, "tcp", "71234"), Listener("0.0.0.0", 80, "tcp", "71235")]
    assert parse("tcp", TCP6) == [Listener("::", 81, "tcp", "9"), Listener("127.0.0.1", 82, "tcp", "8")]
    assert parse("udp", UDP) == [Listener("127.0.0.53", 53, "udp", "555")]
    assert parse("tcp", "") == []


def test_a_listener_is_told_with_its_process() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        port = server.server_address[1]
        (own,) = [one for one in host_listeners() if one["port"] == port]
    assert own["address"] == "127.0.0.1"
    assert "(pid " in own["process"]


def test_who_listens_is_read_and_who_is_connected_is_not() -> None:
    assert parse("tcp", TABLE) == [Listener("127.0.0.1", 8000, "tcp", "1")]


def test_a_mapped_address_is_read_as_the_one_it_stands_for() -> None:
    assert parse("tcp", TABLE6) == [Listener("::", 9092, "tcp", "3"), Listener("127.0.0.1", 9093, "tcp", "4")]


# What systemctl list-sockets prints on Ubuntu 24.04, Debian 12 and 13, and with units of one's own.
LISTED = """\
/run/dbus/system_bus_socket dbus.socket dbus.service
0.0.0.0:22 ssh.socket ssh.service
[::]:22 ssh.socket ssh.service
kobject-uevent 1 systemd-udevd-kernel.socket systemd-udevd.service
[::]:2222 door.socket sshd@.service
127.0.0.1:631 cups.socket cups.service
[::]:9090 cockpit.socket cockpit.service
*:111 rpcbind.socket rpcbind.service
"""
SSHD = "sshd (pid 812)"


@pytest.mark.parametrize(
    ("port", "holders", "process", "stop", "is_ssh"),
    [
        (22, [SYSTEMD], "ssh.socket of systemd, which starts ssh.service (pid 1)", "ssh.socket ssh.service", True),
        (22, [SYSTEMD, SSHD], "sshd of ssh.socket, which starts ssh.service (pid 812)", "ssh.socket ssh.service", True),
        (22, [SSHD, SYSTEMD], "sshd of ssh.socket, which starts ssh.service (pid 812)", "ssh.socket ssh.service", True),
        (22, [SSHD], SSHD, "kill 812", True),
        (2222, [SYSTEMD], "door.socket of systemd, which starts sshd@.service (pid 1)", "door.socket", True),
        (2222, ["dropbear (pid 9)"], "dropbear (pid 9)", "kill 9", True),
        (631, [SYSTEMD], "cups.socket of systemd, which starts cups.service (pid 1)", "cups.socket", False),
        (9090, [SYSTEMD], "cockpit.socket of systemd, which starts cockpit.service (pid 1)", "cockpit.socket", False),
        (111, [SYSTEMD, "rpcbind (pid 4)"], "rpcbind of rpcbind.socket, which starts rpcbind.service (pid 4)",
         "rpcbind.socket rpcbind.service", False),
        (7000, [SYSTEMD], SYSTEMD, "", False),  # a unit that systemctl does not tell; process 1 is never killed
        (7000, [], "", "", False),
    ],
)  # fmt: skip
def test_a_socket_that_systemd_holds_is_told_by_its_unit(
    port: int, holders: list[str], process: str, stop: str, is_ssh: bool
) -> None:
    shown = who(holders, units_by_port(LISTED).get(port))
    assert shown == process
    assert stop in way_to_stop(shown)
    assert way_to_stop(shown) != "kill 1"
    assert bool(outside.SSH.match(shown)) is is_ssh
