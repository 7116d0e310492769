"""sseclient-py: it reads one stream; who uses it brings the loop and the cursor."""

import json
import sys
import time

import requests
import sseclient

cursor, retry = "", 2000
while True:
    try:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": cursor} if cursor else {})
        answer = requests.get(sys.argv[1], stream=True, headers=headers, timeout=60)
        for event in sseclient.SSEClient(answer).events():
            cursor = event.id or cursor
            retry = int(event.retry or retry)
            print(json.dumps({"event": event.event, "data": event.data, "id": event.id}), flush=True)
    except requests.RequestException:
        pass
    time.sleep(retry / 1000)
