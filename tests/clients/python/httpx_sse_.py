"""httpx-sse: it reads one stream; who uses it brings the loop and the cursor, as its documentation shows."""

import json
import sys
import time

import httpx
from httpx_sse import connect_sse

cursor, retry = "", 2000
while True:
    try:
        with (
            httpx.Client(timeout=60) as client,
            connect_sse(client, "GET", sys.argv[1], headers={"Last-Event-ID": cursor} if cursor else {}) as source,
        ):
            for event in source.iter_sse():
                cursor = event.id or cursor
                retry = event.retry or retry
                print(json.dumps({"event": event.event, "data": event.data, "id": event.id}), flush=True)
    except httpx.TransportError:
        pass
    time.sleep(retry / 1000)
