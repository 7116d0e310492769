"""The load of fanout.py, in its own process: subscribers that count events, and a publisher with a fixed rate.

    python bench/load.py CORE < job.json > result.json

reader.c reads the streams, so that the client never limits a hub that is written in C. Latency is the time from just
before the send() of the publisher to just after the recv() of the subscriber.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from measurements import (
    Flood,
    FloodStep,
    Idle,
    IdleStep,
    Job,
    Measured,
    Resume,
    ResumeStep,
    Step,
    Storm,
    StormStep,
    Subscribed,
    SubscribeStep,
    Window,
    WindowStep,
)

HOST = "127.0.0.1"
PAYLOAD_BYTES = 190
CHANNEL = b"bench"  # in the requests of a hub; each of several channels has this name with a number
CONNECTS = 100  # connections that are opened before their answers are read: below the listen backlog of every peer
PUBLISHERS = 64  # connections; a publish that would need more is held back, and counted
SETTLE_SECONDS = 1.0  # in which a hub notices that somebody has left
LOST = 599  # instead of a status
STEPS, STEP_MS = 1_000_000, 0.1  # of the histogram of latencies, as in reader.c
DATA_SEGMENTS_IN = 152  # offset of tcpi_data_segs_in in struct tcp_info (linux/tcp.h)


def payload(number: int, size: int = PAYLOAD_BYTES) -> bytes:
    """Return the data of one event: JSON of this many bytes, with the number at a fixed place."""
    text = b'{"n":"%010d","symbol":"ACME","price":"101.25","note":"' % number
    return text + b"x" * (size - len(text) - 2) + b'"}'


class Counters(ctypes.Structure):
    """The first fields of struct reader in reader.c."""

    _fields_ = [
        ("delivered", ctypes.c_uint64),
        ("doubled", ctypes.c_uint64),
        ("reads", ctypes.c_uint64),
        ("closed", ctypes.c_uint64),
        ("overlong", ctypes.c_uint64),
        ("last_read", ctypes.c_double),
        ("busy", ctypes.c_double),
        ("histogram", ctypes.c_uint32 * STEPS),
    ]


class Reader:
    """reader.c: it reads the sockets of subscribers and counts events. It spins, or it sleeps until data come.

    While it spins, no hub spends time to wake it.
    """

    def __init__(self, library: Path, limit: int, spin: bool = False) -> None:
        self.spin = spin
        self._library = ctypes.CDLL(str(library))
        self._library.reader_new.restype = ctypes.POINTER(Counters)
        self._library.reader_poll.argtypes = [
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_double,
            ctypes.c_int,
            ctypes.c_void_p,
        ]
        self._library.reader_expect.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_void_p]
        self._reader = self._library.reader_new(limit)
        self._others = (ctypes.c_int * 256)()
        self._sent: object = None  # reader.c holds its address, so it must not be freed
        self.counters: Counters = self._reader.contents

    def add(self, descriptor: int, rest: bytes) -> None:
        """Add a subscriber, with the bytes that came after the head of its answer."""
        self._library.reader_add(self._reader, descriptor, rest, len(rest))

    def expect(self, base: int, total: int, sent: object = None) -> None:
        """Count the numbers [base, base + total) from now on.

        :param sent: a C array of the times at which they are published (CLOCK_MONOTONIC)
        """
        self._sent = sent
        self._library.reader_expect(self._reader, base, total, sent)

    def poll(self, epoll: int, deadline: float) -> list[int]:
        """Read until the deadline or until other descriptors are ready; return these descriptors."""
        found = self._library.reader_poll(self._reader, epoll, deadline, self.spin, self._others)
        return self._others[:found]


def build(directory: Path) -> Path:
    """Compile reader.c."""
    library = directory / "reader.so"
    source = Path(__file__).with_name("reader.c")
    subprocess.run(["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    return library


def percentile(histogram: Sequence[int], share: float) -> int:
    """Return the lowest step so that at least this share of all counts lies at it or below; 0 without counts."""
    needed = share * sum(histogram)
    passed = 0
    for step, count in enumerate(histogram):
        passed += count
        if passed >= needed:
            return step
    return 0


def processor_seconds(pids: list[int]) -> float:
    """Return user and system time of processes, by their own clocks (clock_getcpuclockid(3)): exact, not in ticks."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def resident_bytes(pids: list[int]) -> int:
    """Return the resident memory of processes."""
    pages = 0
    for pid in pids:
        with open(f"/proc/{pid}/statm") as statm:  # noqa: PTH123 - read in a loop that is being timed
            pages += int(statm.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def segments(stream: socket.socket) -> int:
    """Return how many data segments came. On loopback, where one holds 64 KB, these are the writes of the hub."""
    information = stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    return struct.unpack_from("I", information, DATA_SEGMENTS_IN)[0]


class Publisher:
    """One connection that is kept open, with at most one request at a time."""

    def __init__(self, port: int, host: str) -> None:
        self.socket = connected(port, host)
        self.socket.setblocking(False)
        self.lost = False
        self._answer = bytearray()

    def send(self, request: bytes) -> None:
        """Send one request. It is far smaller than the buffer of a socket."""
        if self.socket.send(request) != len(request):
            raise ConnectionError("a publish did not fit into an empty socket buffer")

    def receive(self) -> int:
        """Read, and return the status of a complete answer, 0 before it is complete, LOST after the hub hung up.

        A hub may also say that this answer is the last one: NGINX does that after 1,000 requests of one connection.
        """
        part = b""
        with suppress(ConnectionError):
            part = self.socket.recv(65536)
        if not part:
            self.lost = True
            return LOST
        self._answer += part
        head, found, body = bytes(self._answer).partition(b"\r\n\r\n")
        if not found:
            return 0
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if length is not None and len(body) < int(length[1]):
            return 0
        if length is None and b"chunked" in head.lower() and not body.endswith(b"0\r\n\r\n"):
            return 0
        self._answer.clear()
        self.lost = re.search(rb"\r\nconnection: *close", head, re.IGNORECASE) is not None
        return int(head.split(b" ", 2)[1])


def connected(port: int, host: str = HOST) -> socket.socket:
    """Connect to a port of this machine, or of a container on it."""
    made = socket.create_connection((host, port), 20)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


class Load:
    """Everything that one job does to one hub."""

    def __init__(self, job: Job, host: str = HOST) -> None:
        self.job = job
        self.host = host
        self.publish_head, self.publish_tail = job["publish_head"].encode(), job["publish_tail"].encode()
        self.escape = job["escape"]
        self.subscribers: dict[str, list[socket.socket]] = {}  # by the name of their set
        self.publishers: dict[int, Publisher] = {}
        self.idle: deque[Publisher] = deque()
        self.epoll = select.epoll()
        self.reader = Reader(Path(job["reader"]), 65536, job["spin"])
        self.next_number = 0

    def pids(self) -> list[int]:
        """Return all processes of the hub."""
        return [pid for pids in self.job["processes"].values() for pid in pids]

    def spent(self) -> dict[str, float]:
        """Return the processor seconds so far, by the name of the process."""
        return {name: processor_seconds(pids) for name, pids in self.job["processes"].items()}

    @staticmethod
    def _for(number: int, users: int, text: bytes) -> bytes:
        """Return a request with the channel that this number has among so many; 0: there is only one."""
        return text.replace(CHANNEL, CHANNEL + b".%d" % (number % users)) if users else text

    def event(self, number: int, tail: bytes, size: int = PAYLOAD_BYTES) -> bytes:
        """Return the body that publishes one event, with so many bytes of data."""
        body = payload(number, size)
        if self.escape:  # application/x-www-form-urlencoded
            body = body.replace(b'"', b"%22").replace(b"{", b"%7B").replace(b"}", b"%7D")
        return tail.replace(b"PAYLOAD", body)

    def readers_of_each(self, subscribers: Sequence[socket.socket]) -> int:
        """Return how many of these subscribers get one event."""
        return len(subscribers)

    def _request(self, body: bytes, head: bytes = b"") -> bytes:
        return (head or self.publish_head) + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def subscribe(self, requests: Sequence[bytes], name: str = "") -> None:
        """Open the streams of a set, one for each request, and read the head of each answer."""
        for begin in range(0, len(requests), CONNECTS):
            asked = requests[begin : begin + CONNECTS]
            opened = [connected(self.job["port"], self.host) for _ in asked]
            for one, request in zip(opened, asked, strict=True):
                one.sendall(request)
            for one in opened:
                data = b""
                while b"\r\n\r\n" not in data:
                    part = one.recv(4096)  # so little that the reader has room for what follows the head
                    if not part:
                        raise ConnectionError(f"the hub hung up before the end of the head: {data[:200]!r}")
                    data += part
                if data.split(b" ", 2)[1] != b"200":
                    raise ConnectionError(f"expected a stream with status 200, found {data[:200]!r}")
                self.subscribers.setdefault(name, []).append(one)
                # The last line end of the head belongs to the boundary of the first chunk.
                self.reader.add(one.fileno(), data[data.index(b"\r\n\r\n") + 2 :])
                self.epoll.register(one.fileno(), select.EPOLLIN)

    def idle_seconds(self, seconds: float) -> None:
        """Read whatever comes, for this time."""
        spin, self.reader.spin = self.reader.spin, False
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.reader.poll(self.epoll.fileno(), until)
        self.reader.spin = spin

    def _free(self) -> Publisher | None:
        if self.idle:
            return self.idle.popleft()
        return self._open() if len(self.publishers) < PUBLISHERS else None

    def _open(self) -> Publisher:
        publisher = Publisher(self.job["port"], self.host)
        self.publishers[publisher.socket.fileno()] = publisher
        self.epoll.register(publisher.socket.fileno(), select.EPOLLIN)
        return publisher

    def _answers(self, deadline: float) -> Iterator[tuple[Publisher, int]]:
        """Read streams until the deadline or until publishes are answered; yield these publishers with the status."""
        for descriptor in self.reader.poll(self.epoll.fileno(), deadline):
            publisher = self.publishers[descriptor]
            status = publisher.receive()
            if publisher.lost:
                self.epoll.unregister(descriptor)
                self.publishers.pop(descriptor).socket.close()
            if status:
                yield publisher, status

    def window(self, step: WindowStep) -> Window:
        """Publish at a fixed rate to one set of subscribers, wait for the late events, and return what was measured."""
        subscribers = self.subscribers[step.get("set", "")]
        rate, grace, body = step["rate"], step["grace"], step.get("tail", "").encode() or self.publish_tail
        users, head, size = step.get("users", 0), self.publish_head, step.get("bytes", PAYLOAD_BYTES)
        total, base = round(rate * step["seconds"]), self.next_number
        self.next_number += total
        wanted = total * (len(subscribers) // users if users else self.readers_of_each(subscribers))
        sent = (ctypes.c_double * total)()
        self.reader.expect(base, total, sent)
        counters = self.reader.counters
        errors = held_back = done = 0
        before = sum(map(segments, subscribers))
        spent = self.spent()
        begun = time.monotonic()
        due = begun
        while True:
            now = time.monotonic()
            if done < total:
                if now >= due:
                    if publisher := self._free():
                        number = base + done
                        event = self.event(number, self._for(number, users, body), size)
                        request = self._request(event, self._for(number, users, head))
                        sent[done] = time.monotonic()
                        publisher.send(request)
                        done += 1
                        due = begun + done / rate
                        continue
                    held_back += 1
                    due = now + 0.001
                deadline = due
            elif counters.delivered >= wanted or now > sent[total - 1] + grace:
                break
            else:
                deadline = now + 0.005
            for publisher, status in self._answers(deadline):
                if not publisher.lost:
                    self.idle.append(publisher)
                errors += not 200 <= status < 300
        elapsed = time.monotonic() - begun
        used = {name: seconds - spent[name] for name, seconds in self.spent().items()}
        delivered = counters.delivered
        written = sum(map(segments, subscribers)) - before
        histogram = counters.histogram[:]
        return {
            "rate": rate,
            "reached": (total - 1) / (sent[total - 1] - sent[0]) if total > 1 else rate,
            "published": total,
            "publish_errors": errors,
            "held_back": held_back,
            "deliveries": delivered,
            "lost": wanted - delivered,
            "doubled": counters.doubled,
            "streams_cut": counters.closed,
            "p50_ms": percentile(histogram, 0.5) * STEP_MS,
            "p99_ms": percentile(histogram, 0.99) * STEP_MS,
            "late_seconds": max(0.0, counters.last_read - sent[total - 1]) if delivered else grace,
            "cpu_us": {name: seconds / max(1, delivered) * 1e6 for name, seconds in used.items()},
            "cpu_share": {name: seconds / elapsed for name, seconds in used.items()},
            "client_share": counters.busy / elapsed,  # reading; publishing takes a small part of that
            "events_per_write": delivered / max(1, written),
        }

    def resume(self, step: ResumeStep) -> Resume:
        """Open streams that each replay events, and time them from the first connection to the last event."""
        count, events = step["count"], step["events"]
        spent, begun = sum(self.spent().values()), time.monotonic()
        counters = self.reader.counters
        self.subscribe([step["request"].encode()] * count)
        self.reader.expect(step["base"], events)
        while counters.delivered < count * events and time.monotonic() < max(begun, counters.last_read) + step["grace"]:
            self.reader.poll(self.epoll.fileno(), time.monotonic() + 0.1)
        seconds = counters.last_read - begun
        return {
            "subscribers": count,
            "events_each": events,
            "seconds": seconds,
            "lost": count * events - counters.delivered,
            "doubled": counters.doubled,
            "cpu_us_per_event": (sum(self.spent().values()) - spent) / max(1, counters.delivered) * 1e6,
            "client_share": counters.busy / seconds,
        }

    def flood(self, step: FloodStep) -> Flood:
        """Publish as fast as answers come, with a fixed number of requests at a time."""
        concurrency, batch, seconds = step["concurrency"], step["batch"], step["seconds"]
        spent, begun, own = self.spent(), time.monotonic(), time.process_time()
        accepted = refused = 0

        def request() -> bytes:
            numbers = range(self.next_number, self.next_number + batch)
            self.next_number += batch
            events = b",".join(self.event(number, self.publish_tail) for number in numbers)
            return self._request(b"[" + events + b"]" if batch > 1 else events)

        sending = [self._free() or self._open() for _ in range(concurrency)]
        for publisher in sending:
            publisher.send(request())
        while sending:
            for publisher, status in self._answers(time.monotonic() + 1):
                accepted += 200 <= status < 300
                refused += not 200 <= status < 300
                sending.remove(publisher)
                if time.monotonic() < begun + seconds and status != LOST:
                    sending.append(self._open() if publisher.lost else publisher)
                    sending[-1].send(request())
                elif not publisher.lost:
                    self.idle.append(publisher)
        events, elapsed = accepted * batch, time.monotonic() - begun
        used = {name: after - spent[name] for name, after in self.spent().items()}
        return {
            "concurrency": concurrency,
            "batch": batch,
            "events": events,
            "events_per_second": events / elapsed,
            "refused": refused,
            "cpu_us_per_event": {name: seconds / max(1, events) * 1e6 for name, seconds in used.items()},
            "client_share": (time.process_time() - own) / elapsed,
        }

    def come_and_go(self, requests: Sequence[bytes], seconds: float) -> int:
        """Open these streams and leave them, again and again for this time; return how many they were."""
        until, came = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            self.subscribe(requests, "leaving")
            for one in self.subscribers.pop("leaving"):
                one.close()
            came += len(requests)
        return came

    def passing(self, step: StormStep) -> Storm:
        """Open streams and leave them, and return what they cost the hub. It is the last step of a job."""
        spent, begun = self.spent(), time.monotonic()
        came = self.come_and_go([self.job["subscribe"].encode()] * CONNECTS, step["seconds"])
        took = time.monotonic() - begun
        time.sleep(SETTLE_SECONDS)
        used = {name: (after - spent[name]) / came * 1e6 for name, after in self.spent().items()}
        return {"streams": came, "per_second": came / took, "cpu_us_per_stream": used}

    def open_streams(self, step: SubscribeStep) -> Subscribed:
        """Open streams, and return the memory that each of them takes in the hub."""
        before = resident_bytes(self.pids())
        request, users = step.get("request", self.job["subscribe"]).encode(), step.get("users", 0)
        self.subscribe([self._for(number, users, request) for number in range(step["count"])], step.get("set", ""))
        self.idle_seconds(step["settle"])
        kilobytes = (resident_bytes(self.pids()) - before) / 1024 / step["count"]
        return {"count": step["count"], "kb_per_connection": kilobytes}

    def rest(self, step: IdleStep) -> Idle:
        """Leave the streams alone, and return what they cost the hub meanwhile."""
        spent, begun = processor_seconds(self.pids()), time.monotonic()
        self.idle_seconds(step["seconds"])
        used = processor_seconds(self.pids()) - spent
        return {"share_of_core": used / (time.monotonic() - begun), "streams_cut": self.reader.counters.closed}

    def do(self, step: Step) -> Measured:
        """Do one step, and return what was measured."""
        match step["kind"]:
            case "subscribe":
                return self.open_streams(step)
            case "window":
                return self.window(step)
            case "idle":
                return self.rest(step)
            case "resume":
                return self.resume(step)
            case "flood":
                return self.flood(step)
            case "storm":
                return self.passing(step)

    def close(self) -> None:
        """Close every connection."""
        opened = (one for subscribers in self.subscribers.values() for one in subscribers)
        for one in (*opened, *(publisher.socket for publisher in self.publishers.values())):
            one.close()


def run(job: Job) -> dict[str, Measured]:
    """Do the steps of a job in order, and return the result of each under its name."""
    load = Load(job)
    results = {step["name"]: load.do(step) for step in job["steps"]}
    load.close()
    return results


def main() -> None:
    """Run the job that comes on standard input, on the given core."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    job: Job = json.load(sys.stdin)
    gc.disable()  # a collection would look like latency of the hub
    json.dump(run(job), sys.stdout)


if __name__ == "__main__":
    main()
