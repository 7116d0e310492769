"""Publish and listen while a command changes a stack, and check that nothing was lost: URL -- COMMAND [ARGUMENTS]."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "clients/python"))

from sse_client import AsyncClient, Bye, Gap, Message

DELIVER_SECONDS = 60.0
BEGIN_SECONDS = 30.0
ENOUGH = 5  # events that must arrive before the command starts


class Traffic:
    """One subscriber that resumes and one publisher that retries, while a command changes the stack."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.channel = f"it.traffic.{uuid.uuid4().hex}"
        self.stored: list[str] = []
        self.heard: list[str] = []
        self.gaps: list[Gap] = []
        self.byes: list[Bye] = []
        self.ending = threading.Event()
        self.errors: list[BaseException] = []

    def __enter__(self) -> Traffic:
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        wait(lambda: len(self.heard) > ENOUGH or bool(self.errors), BEGIN_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.thread.join(2 * DELIVER_SECONDS)

    def work(self) -> None:
        try:
            asyncio.run(self.run())
        except BaseException as error:  # noqa: BLE001
            self.errors.append(error)

    async def run(self) -> None:
        self.level = asyncio.Event()
        async with AsyncClient(self.url) as client:
            listening = asyncio.create_task(self.listen(client))
            while not self.ending.is_set():
                self.stored.append(await client.publish(self.channel, 0, seconds=DELIVER_SECONDS))
                await asyncio.sleep(0.02)  # some fifty events a second are enough
            # The last event arrives after everything that was published before it.
            self.stored.append(await client.publish(self.channel, 1, seconds=DELIVER_SECONDS))
            async with asyncio.timeout(DELIVER_SECONDS):
                await self.level.wait()
            listening.cancel()

    async def listen(self, client: AsyncClient) -> None:
        async with contextlib.aclosing(client.stream(self.channel)) as stream:
            async for found in stream:
                match found:
                    case Message():
                        self.heard.append(found.id)
                        if found.data == "1":
                            self.level.set()
                    case Gap():
                        self.gaps.append(found)
                    case Bye():
                        self.byes.append(found)

    @property
    def broken(self) -> str:
        """Say what broke the promise: each stored event once, in order, and no gap. Empty where nothing did."""
        if self.errors:
            return f"it ended: {self.errors[0]!r}"
        if self.thread.is_alive():
            return "it did not end"
        # What was stored before the first stream began is not for it.
        due = self.stored[self.stored.index(self.heard[0]) :] if self.heard[:1] and self.heard[0] in self.stored else []
        lost = [one for one in due if one not in set(self.heard)]
        if self.gaps or self.heard != due:
            return f"{len(due)} stored, {len(self.heard)} heard, lost: {lost[:5]}, gaps: {self.gaps[:5]}"
        return "" if len(self.stored) > ENOUGH else f"only {len(self.stored)} events came about"


def wait(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition, but no longer than this time."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)


def main() -> int:
    """Run the command meanwhile, and return its status, or 1 where something was lost."""
    url, _, *command = sys.argv[1:]
    with Traffic(url) as traffic:
        ended = subprocess.run(command, check=False).returncode if len(traffic.heard) > ENOUGH else 1
        moved = len(traffic.stored)
        wait(lambda: len(traffic.stored) > moved, DELIVER_SECONDS)
    sys.stdout.write(f"traffic: {traffic.broken or f'{len(traffic.stored)} events, each heard once and in order'}\n")
    return ended or int(bool(traffic.broken))


if __name__ == "__main__":
    sys.exit(main())
