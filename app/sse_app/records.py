"""`python -m sse_app.records`: prints the id and the channel of every event that the log holds now, oldest first.

It reads the log with a client of its own, without the feed, the ring and the history that streams are served from. So
`./sse backup --drill` can compare what streams deliver with what the log holds.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator

from sse_app.base.settings import ConfigurationError, Settings, load
from sse_app.log.cursor import Cursor
from sse_app.log.interface import MARKER, Log, LogUnavailableError, OutOfRangeError, Record
from sse_app.log.kafka import KafkaLog

_AT_ONCE = 5000  # records


async def records(log: Log) -> AsyncGenerator[Record]:
    """Every record between the bounds that the log has at the beginning."""
    start, end = await log.bounds()
    while start < end:
        found = await log.read(start, _AT_ONCE)
        for record in found:
            if record.offset < end:
                yield record
        start = found[-1].offset + 1 if found else end


async def lines(log: Log) -> AsyncGenerator[str]:
    """`<id> <channel>` for each event, with ` repeated` where an earlier record has the same key."""
    seen: set[bytes] = set()
    async for record in records(log):
        draft = record.draft
        if draft.channel != MARKER:
            repeated = " repeated" if draft.key and draft.key in seen else ""
            yield f"{Cursor(record.offset, record.fingerprint)} {draft.channel}{repeated}"
        if draft.key:
            seen.add(draft.key)


async def _print(settings: Settings) -> None:
    log = KafkaLog(settings)
    try:
        async for line in lines(log):
            print(line)
    finally:
        await log.close()


def main() -> int:
    """Print the list; say what is wrong where that fails."""
    try:
        asyncio.run(_print(load(os.environ)))
    except (ConfigurationError, LogUnavailableError, OutOfRangeError) as error:
        print(f"the log cannot be listed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
