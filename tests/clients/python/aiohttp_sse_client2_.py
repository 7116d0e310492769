"""aiohttp-sse-client2: a connection that is cut raises; who uses it brings the loop and the cursor."""

import asyncio
import json
import sys

import aiohttp
from aiohttp_sse_client2 import client


async def main() -> None:
    cursor = ""
    while True:
        try:
            async with client.EventSource(sys.argv[1], headers={"Last-Event-ID": cursor} if cursor else {}) as source:
                async for event in source:
                    cursor = event.last_event_id or cursor
                    said = {"event": event.type or "message", "data": event.data, "id": event.last_event_id}
                    print(json.dumps(said), flush=True)
        except (aiohttp.ClientError, ConnectionError):
            await asyncio.sleep(1)


asyncio.run(main())
