"""`python -m sse_app.health`: exits with 0 when the replica on this host is ready. It imports little, to be cheap."""

import os
import socket
import sys

_SECONDS = 3.0  # for the connection and for each part of the answer


def main() -> int:
    """Ask /health/ready, and print the answer unless the replica is ready."""
    host = os.environ.get("SSE_HOST", "0.0.0.0")  # noqa: S104 - it is read, not bound  # nosec B104
    asked = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - the same  # nosec B104
    address = (asked, int(os.environ.get("SSE_PORT", "8000")))
    try:
        with socket.create_connection(address, _SECONDS) as connection:
            connection.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    except OSError as error:
        print(f"no answer from {address[0]}:{address[1]}: {error}")
        return 1
    if answer.startswith(b"HTTP/1.1 200 "):
        return 0
    print(answer.rpartition(b"\r\n\r\n")[2].decode("utf-8", "replace")[:1000])
    return 1


if __name__ == "__main__":
    sys.exit(main())
