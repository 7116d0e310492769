"""Whether what is published now comes later, after whatever: exactly once, in order, with the ids of now.

    .venv/bin/python tests/judging/kept.py publish http://ADDRESS FILE [COUNT]
    .venv/bin/python tests/judging/kept.py resume http://ADDRESS FILE

The first publishes events and writes down what was acknowledged. The second resumes after several of these ids, and
ends with 1 where a stream lacks an event, or has one twice, in another order, with another id, or a gap.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import urllib.parse
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from judging.judge import Oracle, Size
from judging.ledger import Account, Ledger, offset

BATCH = 100
COUNT = 5000
SHARES = (0.0, 0.5, 0.9)  # of the events: where streams resume


class Kept(Oracle):
    """One publisher, and one stream after another."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port, random.SystemRandom().randrange(2**32), Size(subscribers=0, publishers=1))

    def batch(self, name: str) -> list[dict[str, str]]:
        """As many events as a batch has, on one channel."""
        channel = f"{self.prefix}.kept"
        return [{"channel": channel, "event": "count", "data": f"{name}:{one} {channel}"} for one in range(BATCH)]

    async def published(self, count: int) -> dict[str, str]:
        """Publish so many events; return their ids by their names, in the order of the log."""
        for one in range(-(-count // BATCH)):
            await self.settle(f"0:{one}")
        return dict(sorted(self.ledger.ids.items(), key=lambda item: offset(item[1])))

    async def resumed(self, channel: str, ids: dict[str, str], place: int) -> list[str]:
        """Resume after one of the events; return what was wrong with what came."""
        last, due = list(ids.values())[place], dict(list(ids.items())[place + 1 :])
        self.account = Account()
        self.ledger = Ledger(self.account)
        for event, id_ in due.items():
            self.ledger.accept(event, channel, id_, 0.0)
        self.listeners = [listener := self.listener(f"who resumed after event {place}", (channel,))]
        listener.opened(last)
        reading = asyncio.create_task(self.subscribe(listener, last))
        await self.arrive()
        reading.cancel()
        listener.close(self.ledger)
        wrong = [*self.account.examples, *(f"{listener.name} was told a gap: {one}" for one in listener.gaps)]
        more = sorted(listener.heard.keys() - due.keys())
        return wrong + [f"{listener.name} got {one}, which is none of these events" for one in more]


def main() -> int:
    """Run by hand, or for a stage of the scenario `swarm-data` of Molecule."""
    what, url, file, *more = sys.argv[1:]
    door = urllib.parse.urlsplit(url)
    kept = Kept(door.hostname or "", door.port or 80)
    if what == "publish":
        ids = asyncio.run(kept.published(int(more[0]) if more else COUNT))
        Path(file).write_text(json.dumps({"channel": f"{kept.prefix}.kept", "ids": ids}))
        wrong = kept.account.examples
        sys.stdout.write(f"{len(ids)} events were acknowledged\n")
    else:
        known = json.loads(Path(file).read_text())
        places = [int(share * len(known["ids"])) for share in SHARES]
        wrong = [one for place in places for one in asyncio.run(kept.resumed(known["channel"], known["ids"], place))]
        sys.stdout.write(f"resumed after events {', '.join(map(str, places))} of {len(known['ids'])}\n")
    sys.stdout.writelines(f"{one}\n" for one in wrong)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
