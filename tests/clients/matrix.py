"""Connect clients that others wrote to the platform, cut them, and see what they miss: docs/clients.md is the result.

Each program beside this file uses one library as its documentation shows, prints a line of JSON for each event, and
knows nothing of this test. Between it and the platform stands a link that is cut: once before the first event, and
twice while events come. What is published while a client is away must come when it is back, once and in order.

    python tests/clients/matrix.py http://127.0.0.1 --write-docs
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import urllib.parse
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.sse.platform.tests.clients import toolchains  # noqa: E402 - below the path that has it

PAGE = ROOT / "docs" / "clients.md"
WAIT_SECONDS = 60.0  # for what should come; a retry of the platform is 1 to 3 s, of some libraries more
AT_ONCE = 8  # clients: most of them wait until they may come back
LARGE = 59_000  # characters: near the default limit of an event
OPENING_SECONDS = 2.0  # for the opening of a stream to be read
OPENING = re.compile(rb"content-type: text/event-stream.*?\r\n\r\n.*\n\n", re.IGNORECASE | re.DOTALL)
TEXT = "Grüße, 世界 🙂\nin two lines"


class Client(NamedTuple):
    """One library, and how its program runs."""

    library: str
    language: str
    command: tuple[str, ...]  # its last argument is the URL
    version: str  # "npm:NAME", "pip:NAME", or a version
    note: str  # what to set, or what it cannot do


@dataclass
class Result:
    """What a client did. Each value is what the table shows."""

    first: str = "-"
    cuts: str = "-"
    text: str = "-"
    large: str = "-"
    besides: set[str] = field(default_factory=set[str])  # what it shows that nobody published

    @property
    def fine(self) -> bool:
        return (self.first, self.cuts, self.text, self.large) == ("yes", "yes", "yes", "yes")


def node(program: str, *arguments: str) -> tuple[str, ...]:
    return ("{node}", str(HERE / "javascript" / f"{program}.mjs"), "{url}", *arguments)


def python(program: str) -> tuple[str, ...]:
    return ("{python}", str(HERE / "python" / f"{program}.py"), "{url}")


LOOP = "It reads one stream. Reconnect in a loop, and send the last id in `Last-Event-ID`, as the program does."
ITSELF = "Nothing: it reconnects and resumes by itself."
CLIENTS = (
    Client("EventSource (Chromium)", "browser", node("browser", "EventSource"), "", ITSELF),
    Client(
        "event-source-polyfill",
        "browser",
        node("browser", "event-source-polyfill"),
        "npm:event-source-polyfill",
        ITSELF,
    ),
    Client(
        "reconnecting-eventsource",
        "browser",
        node("browser", "reconnecting-eventsource"),
        "npm:reconnecting-eventsource",
        ITSELF,
    ),
    Client("sse.js", "browser", node("browser", "sse-js"), "npm:sse.js", "`autoReconnect` and `useLastEventId`."),
    Client("EventSource", "browser (Firefox)", node("firefox", "EventSource"), "", ITSELF),
    Client(
        "event-source-polyfill",
        "browser (Firefox)",
        node("firefox", "event-source-polyfill"),
        "npm:event-source-polyfill",
        ITSELF,
    ),
    Client("sse-platform-client (ours)", "JavaScript", node("sse-platform-client"), "", ITSELF),
    Client("eventsource 2", "JavaScript", node("eventsource2"), "npm:eventsource2", ITSELF),
    Client("eventsource 3", "JavaScript", node("eventsource3"), "npm:eventsource3", ITSELF),
    Client("eventsource 4", "JavaScript", node("eventsource4"), "npm:eventsource4", ITSELF),
    Client("eventsource-client", "JavaScript", node("eventsource-client"), "npm:eventsource-client", ITSELF),
    Client("eventsource-parser", "JavaScript", node("eventsource-parser"), "npm:eventsource-parser", LOOP),
    Client(
        "@microsoft/fetch-event-source",
        "JavaScript",
        node("fetch-event-source"),
        "npm:@microsoft/fetch-event-source",
        "Throw in `onclose`: else it takes the end of a stream for the end of all.",
    ),
    Client(
        "launchdarkly-eventsource",
        "JavaScript",
        node("launchdarkly-eventsource"),
        "npm:launchdarkly-eventsource",
        "An `onerror`: without one, an error ends the process.",
    ),
    Client("httpx-sse", "Python", python("httpx_sse_"), "pip:httpx-sse", LOOP),
    Client("sseclient-py", "Python", python("sseclient_py"), "pip:sseclient-py", LOOP),
    Client("requests-sse", "Python", python("requests_sse_"), "pip:requests-sse", "A large `max_connect_retry`."),
    Client(
        "aiohttp-sse-client2",
        "Python",
        python("aiohttp_sse_client2_"),
        "pip:aiohttp-sse-client2",
        "A loop around it: a cut raises.",
    ),
    Client("sse-platform-client (ours)", "Python", python("ours"), "", ITSELF),
    Client(
        "r3labs/sse",
        "Go",
        ("{go}/r3labs", "{url}"),
        "go:github.com/r3labs/sse/v2",
        "`ClientMaxBufferSize` above 64 KB.",
    ),
    Client(
        "launchdarkly/eventsource",
        "Go",
        ("{go}/launchdarkly", "{url}"),
        "go:github.com/launchdarkly/eventsource",
        "An error handler that goes on.",
    ),
    Client("tmaxmax/go-sse", "Go", ("{go}/tmaxmax", "{url}"), "go:github.com/tmaxmax/go-sse", ITSELF),
    Client(
        "okhttp-eventsource",
        "Java",
        ("java", "-cp", "{java}", "OkhttpEventsource", "{url}"),
        "java:okhttp-eventsource",
        "`ErrorStrategy.alwaysContinue()`.",
    ),
    Client("okhttp-sse", "Java", ("java", "-cp", "{java}", "OkhttpSse", "{url}"), "java:okhttp-sse", LOOP),
    Client("eventsource-client", "Rust", ("{rust}/eventsource_client", "{url}"), "rust:eventsource-client", ITSELF),
    Client("reqwest-eventsource", "Rust", ("{rust}/reqwest_eventsource", "{url}"), "rust:reqwest-eventsource", ITSELF),
    Client("curl", "shell", ("sh", str(HERE / "shell" / "curl.sh"), "{url}"), "", LOOP),
)


class Link:
    """A way to the platform that can be cut. It tells when a stream has begun."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.writers: set[asyncio.StreamWriter] = set()
        self.open = asyncio.Event()
        self.open.set()
        self.begun = asyncio.Event()

    async def __aenter__(self) -> Link:
        self.server = await asyncio.start_server(self.connected, "127.0.0.1", 0)
        self.at: int = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        self.cut()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.open.is_set():  # a link that is down refuses at once
            writer.close()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.close()
            return
        self.writers |= {writer, far_writer}
        with contextlib.suppress(asyncio.CancelledError):  # the last link goes with the program
            await asyncio.gather(self.copy(reader, far_writer), self.copy(far_reader, writer, watched=True))
        self.writers -= {writer, far_writer}

    async def copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, watched: bool = False) -> None:
        head = b""
        with contextlib.suppress(OSError):
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
                if watched and len(head) < 16_384:
                    head += part
                    # A browser may ask for a page on the same connection before.
                    if OPENING.search(head):
                        self.begun.set()
        writer.close()

    def cut(self) -> None:
        """End every connection, as a network does that goes away for a moment: what was sent still arrives."""
        self.begun.clear()
        for writer in list(self.writers):
            writer.close()

    @contextlib.asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Cut, and let nobody in until the block ends."""
        self.open.clear()
        self.cut()
        try:
            yield
        finally:
            self.open.set()


class Platform:
    """Where events are published."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    async def publish(self, channel: str, *data: Any, event: str = "message") -> None:
        body = json.dumps([{"channel": channel, "event": event, "data": one} for one in data]).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1/events", body, headers)
        await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=20).read())


class Heard:
    """The events that a program has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.all: list[dict[str, str]] = []
        self.more = asyncio.Condition()

    async def read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            with contextlib.suppress(ValueError):
                self.all.append(json.loads(line))
            async with self.more:
                self.more.notify_all()

    @property
    def data(self) -> list[str]:
        """The data of what was published here, in the order in which it came."""
        return [one["data"] for one in self.all if one["event"] in {"message", "created"} and one["data"]]

    async def something(self, seconds: float) -> None:
        """Wait until the program has shown anything, or so long: most libraries show the opening of a stream."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self.more:
                await self.more.wait_for(lambda: self.all)

    def others(self) -> set[str]:
        """What else the program was given."""
        return {
            f"`{one['event']}`" if one["data"] else "blank messages"
            for one in self.all
            if one["event"] not in {"message", "created"} or not one["data"]
        }

    async def has(self, wanted: list[str]) -> bool:
        """Wait until the last one of these has come; tell whether all of them came, once and in order."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS), self.more:
                await self.more.wait_for(lambda: wanted[-1] in self.data)
        return [one for one in self.data if one in set(wanted)] == wanted


async def tried(client: Client, platform: Platform, tools: Mapping[str, str]) -> Result:
    """Run one client's program through everything."""
    parts = urllib.parse.urlsplit(platform.url)
    channel = f"clients.{uuid.uuid4().hex[:12]}"
    async with Link(parts.hostname or "", parts.port or 80) as link:
        url = f"http://127.0.0.1:{link.at}/api/v1/stream?channel={channel}"
        command = [one.format(url=url, **tools) for one in client.command]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=HERE,
            limit=2**22,
            start_new_session=True,
        )
        heard = Heard(process)
        reading = asyncio.create_task(heard.read())
        result = Result()
        work = asyncio.create_task(through(link, platform, channel, heard, result))
        try:
            await asyncio.wait({work, reading}, return_when=asyncio.FIRST_COMPLETED)
            work.cancel()  # its program has ended, if it still runs
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                await work  # where it does not come back, what it did until then is the result
        finally:
            result.besides = heard.others()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a browser has processes of its own
            await process.wait()
            await reading
        return result


async def through(link: Link, platform: Platform, channel: str, heard: Heard, result: Result) -> None:
    """Cut before the first event; then while events come; then text, and a large event."""
    await asyncio.wait_for(link.begun.wait(), WAIT_SECONDS)
    await heard.something(OPENING_SECONDS)
    async with link.away():
        await platform.publish(channel, "first-1", "first-2")
    await asyncio.wait_for(link.begun.wait(), WAIT_SECONDS)
    await platform.publish(channel, "after")
    result.first = "yes" if await heard.has(["first-1", "first-2", "after"]) else "no"
    wanted = ["after"]
    for cut in range(2):
        names = [f"cut-{cut}-{number}" for number in range(6)]
        await platform.publish(channel, *names[:2], event="created")
        await heard.has(names[:2])
        async with link.away():
            await platform.publish(channel, *names[2:4], event="created")
        await asyncio.wait_for(link.begun.wait(), WAIT_SECONDS)
        await platform.publish(channel, *names[4:], event="created")
        wanted += names
        result.cuts = "yes" if await heard.has(wanted) else "no"
    await platform.publish(channel, TEXT)
    result.text = "yes" if await heard.has([TEXT]) else "no"
    large = "x" * LARGE
    await platform.publish(channel, large)
    result.large = "yes" if await heard.has([large]) else "no"


# --- what the machine has, and the page


# Where a lock says the version of a library, for each kind of lock.
LOCKS = {
    "npm": ("javascript/package-lock.json", r'"node_modules/{name}": \{{\n(?:\s+"name": .*\n)?\s+"version": "([^"]+)"'),
    "pip": ("python/requirements.txt", r"(?m)^{name}==(\S+)"),
    "go": ("go/go.mod", r"{name} v(\S+)"),
    "java": ("java/pom.xml", r"<artifactId>{name}</artifactId>\s*<version>([^<]+)"),
    "rust": ("rust/Cargo.toml", r'{name} = "=([^"]+)"'),
}


def version_of(client: Client) -> str:
    """Return the version that a lock pins; '' for what has none."""
    kind, __, name = client.version.partition(":")
    if not name:
        return ""
    path, pattern = LOCKS[kind]
    found = re.search(pattern.format(name=re.escape(name)), (HERE / path).read_text())
    assert found, client.version
    return found[1]


HEAD = """# Clients that others wrote

This page is written by `tests/clients/matrix.py`, which runs each client against a deployed platform through NGINX and
a link that is cut. The programs of some 20 lines are in [tests/clients](../tests/clients). The columns say whether

- **first**: a client that is cut before its first event gets what it missed when it comes back,
- **cuts**: across two more cuts, every event comes once, and in order,
- **text**: umlauts, Chinese, emoji and two lines arrive as they were sent,
- **large**: an event of 59,000 characters arrives.

"""
TAIL = """
"Besides" is what a client shows that nobody published. `cursor` is the opening of a stream and moves the cursor before
the first event: ignore it. A client may show `gap` and `bye`, too: [events.md](events.md) says what to do with them.
"""


def rows(results: Mapping[tuple[str, str], Result]) -> list[str]:
    """Return the lines of the table."""
    lines = ["| language | client | first | cuts | text | large | besides | what to set |", "|" + "---|" * 8]
    for client in CLIENTS:
        if one := results.get(client[:2]):
            name = f"{client.library} {version_of(client)}".strip()
            besides = ", ".join(sorted(one.besides)) or "nothing"
            cells = (client.language, name, one.first, one.cuts, one.text, one.large, besides, client.note)
            lines.append("| " + " | ".join(cells) + " |")
    return lines


async def every(
    platform: Platform, clients: Iterable[Client], tools: Mapping[str, str]
) -> dict[tuple[str, str], Result]:
    """Try clients, some at a time, and tell how each one did, by library and language."""
    places, results = asyncio.Semaphore(AT_ONCE), dict[tuple[str, str], Result]()

    async def one(client: Client) -> None:
        async with places:
            results[client[:2]] = found = await tried(client, platform, tools)
            words = f"first {found.first}, cuts {found.cuts}, text {found.text}, large {found.large}; besides: "
            words += ", ".join(sorted(found.besides)) or "nothing"
            print(f"  {client.library}, {client.language}: {words}", flush=True)

    await asyncio.gather(*(one(client) for client in clients))
    return results


def prepared(languages: Iterable[str]) -> dict[str, Mapping[str, str]]:
    """Get ready for some languages; return what their commands need. A language without its compiler is named."""
    found: dict[str, Mapping[str, str]] = {}
    for language in sorted(languages):
        compiler, prepare = toolchains.LANGUAGES[language]
        if compiler and not shutil.which(compiler):
            print(f"  {language}: not tried, since this machine has no {compiler}", flush=True)
            continue
        print(f"  {language}: getting ready", flush=True)
        found[language] = prepare()
    return found


def main() -> int:
    """Try every client that this machine can run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="where the platform answers, such as http://127.0.0.1")
    parser.add_argument("--only", action="append", default=[], metavar="LIBRARY", help="only these clients")
    parser.add_argument("--language", action="append", default=[], help="only clients of these languages")
    parser.add_argument("--write-docs", action="store_true")
    asked = parser.parse_args()
    clients = [one for one in CLIENTS if not asked.only or one.library in asked.only]
    clients = [one for one in clients if not asked.language or one.language in asked.language]
    tools = prepared({one.language for one in clients})
    clients = [one for one in clients if one.language in tools]
    results = asyncio.run(every(Platform(asked.url), clients, {k: v for one in tools.values() for k, v in one.items()}))
    if asked.write_docs:
        PAGE.write_text(HEAD + "\n".join(rows(results)) + "\n" + TAIL)
    return 0 if all(one.fine for one in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
