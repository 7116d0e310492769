"""requests-sse: it reconnects by itself."""

import json
import sys

from requests_sse import EventSource

with EventSource(sys.argv[1], timeout=60, max_connect_retry=50) as source:
    for event in source:
        said = {"event": event.type or "message", "data": event.data, "id": event.last_event_id}
        print(json.dumps(said), flush=True)
