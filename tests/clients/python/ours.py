"""Our own client: it reconnects and resumes by itself."""

import json
import sys
import urllib.parse

from sse_client import Client, Message

asked = urllib.parse.urlsplit(sys.argv[1])
channels = urllib.parse.parse_qs(asked.query)["channel"]
with Client(f"{asked.scheme}://{asked.netloc}") as client, client.stream(*channels) as stream:
    for event in stream:
        if isinstance(event, Message):
            print(json.dumps({"event": event.event, "data": event.data, "id": event.id}), flush=True)
