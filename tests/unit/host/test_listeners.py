"""Who listens is read from the kernel's tables of sockets, and told with its process."""

from __future__ import annotations

import socketserver

from ansible_collections.sse.platform.plugins.module_utils.host.listeners import Listener, host_listeners, parse

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
