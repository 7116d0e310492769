"""The newest records as one sequence in Redis, which serves resumes before the log is asked. The log is the truth.

Any replica may write at any time, several of them at once, so a reader must be able to check what it reads.
The script appends a record only after its own predecessor (same offset, same fingerprint), and starts the key anew on
any jump. So the records between two records of the sequence are those of the log, without holes. A reader accepts a
range only if it holds the cursor and, later, the record with which the reader's own ring begins. Dropped duplicates are
kept as empty records, so that no offset is missing.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sse_app.fanout.ring import Entry, Ring
from sse_app.log.cursor import Cursor

RANGE_BYTES = 2**20  # of one answer: about 2 ms of Redis' time
_STEP = 50  # records between two checks of RANGE_BYTES

_APPEND = """
local function mark(record) return string.match(record, '^(%d+)(%-%x*) (%d+) ') end
local first, size = tonumber((mark(ARGV[6]))), tonumber(redis.pcall('GET', KEYS[2]))
local from = 6
local newest = redis.call('TYPE', KEYS[1]).ok == 'list' and size and redis.call('LINDEX', KEYS[1], -1)
local last, fingerprint = mark(newest or '')
local oldest = last and tonumber((mark(redis.call('LINDEX', KEYS[1], 0))))
local fits = false
if oldest and last - oldest + 1 == redis.call('LLEN', KEYS[1]) then
    local index = 6 + last - first -- of the argument that must equal the newest one held
    if index > #ARGV then -- all are held already, or the log has changed
        local behind = tonumber(last) - tonumber((mark(ARGV[#ARGV])))
        local held = redis.call('LINDEX', KEYS[1], -1 - behind)
        if not held then return 0 end -- they are older than everything held
        fits = held == ARGV[#ARGV]
        from = #ARGV + 1
    elseif index == 5 then
        fits = last .. fingerprint == ARGV[5]
    elseif index > 5 then
        fits = newest == ARGV[index]
        from = index + 1
    end
end
if not fits then
    redis.call('DEL', KEYS[1], KEYS[2])
    from, size = 6, 0
end
for index = from, #ARGV do
    redis.call('RPUSH', KEYS[1], ARGV[index])
    size = size + #ARGV[index]
end
local length = redis.call('LLEN', KEYS[1])
while length > 1 do
    local oldest = redis.call('LINDEX', KEYS[1], 0)
    local _, _, time = mark(oldest)
    local young = time and tonumber(time) >= tonumber(ARGV[4])
    if young and length <= tonumber(ARGV[1]) and size <= tonumber(ARGV[2]) then break end
    redis.call('LPOP', KEYS[1])
    length, size = length - 1, size - #oldest
end
redis.call('SET', KEYS[2], size, 'EX', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return #ARGV + 1 - from
"""

_RANGE = """
local oldest = redis.call('LINDEX', KEYS[1], 0)
local first = oldest and tonumber((string.match(oldest, '^%d+')))
if not first or tonumber(ARGV[2]) < first then return {} end
local found, size, last = {redis.call('LINDEX', KEYS[1], ARGV[4] - first) or ''}, 0, ARGV[3] - first
for at = math.max(ARGV[1] - first, 0), last, tonumber(ARGV[6]) do
    for _, record in ipairs(redis.call('LRANGE', KEYS[1], at, math.min(at + ARGV[6] - 1, last))) do
        found[#found + 1], size = record, size + #record
    end
    if size >= tonumber(ARGV[5]) then break end
end
return found
"""

_LEAD = """
local writer = redis.pcall('GET', KEYS[2])
if type(writer) ~= 'string' or writer == ARGV[1] then
    redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
    writer = ARGV[1]
end
local newest = redis.call('TYPE', KEYS[1]).ok == 'list' and redis.call('LINDEX', KEYS[1], -1)
return {writer == ARGV[1] and 1 or 0, newest and string.match(newest, '^%d+%-%x*') or ''}
"""

_CURSOR = """
local oldest = redis.call('LINDEX', KEYS[1], 0)
local first = oldest and tonumber((string.match(oldest, '^%d+')))
local at = -1
if not first then return '' end
if ARGV[1] then at = ARGV[1] - first end
if ARGV[1] and at < 0 then return '' end
return string.match(redis.call('LINDEX', KEYS[1], at) or '', '^%d+%-%x*') or ''
"""


class Capacity(NamedTuple):
    """What the sequence may take in Redis."""

    events: int
    bytes: int
    seconds: int


class RedisSequence:
    """A list, and beside it the number of its bytes."""

    def __init__(self, client: Any, name: str) -> None:
        self._keys = (f"{name}:sequence", f"{name}:sequence:bytes")
        self._writer = f"{name}:sequence:writer"
        self._append = client.register_script(_APPEND)
        self._range = client.register_script(_RANGE)
        self._lead = client.register_script(_LEAD)
        self._cursor = client.register_script(_CURSOR)

    async def lead(self, name: str, seconds: float) -> tuple[bool, bytes]:
        """Be the writer for so long, unless another one is; return whether that is so, and the mark of the newest."""
        leads, newest = await self._lead((self._keys[0], self._writer), (name, int(seconds * 1000)))
        return bool(leads), newest

    async def append(self, previous: bytes, records: Sequence[bytes], capacity: Capacity, now: int) -> None:
        """Take consecutive packed records; `previous` is the mark of the record before them, `now` is in ms."""
        oldest = now - capacity.seconds * 1000
        await self._append(self._keys, (capacity.events, capacity.bytes, capacity.seconds, oldest, previous, *records))

    async def range(self, first: int, cursor: int, last: int, link: int) -> Sequence[bytes]:
        """The record at `link`, then those held from `first` to `last`; nothing where `cursor` is not held."""
        return await self._range(self._keys[:1], (first, cursor, last, link, RANGE_BYTES, _STEP))

    async def cursor(self, offset: int | None) -> Cursor | None:
        """The newest record that is held, or the one at an offset; None where there is none."""
        found: bytes = await self._cursor(self._keys[:1], () if offset is None else (offset,))
        at, _, fingerprint = found.decode().partition("-")
        return Cursor(int(at), fingerprint) if at else None


def mark(offset: int, entry: Entry) -> bytes:
    """By what a record is recognized; an offset that the log skips has no fingerprint."""
    return b"%d-%b" % (offset, entry.cursor.fingerprint.encode() if entry.cursor.offset == offset else b"")


def pack(offset: int, entry: Entry) -> bytes:
    """A record as Redis keeps it."""
    head = f"{entry.timestamp} {entry.channel} {entry.traceparent}".encode()
    return b"%b %b\n%b" % (mark(offset, entry), head, entry.frame or b"")


def unpack(found: Sequence[bytes], link: Cursor) -> Ring | None:
    """The records of an answer of range(); None unless they are consecutive and the link is the expected one."""
    ring, expected = Ring.unbounded(), -1
    try:
        if not found or _unpack(found[0]).cursor != link:
            return None
        for packed in found[1:]:
            new = _unpack(packed)
            if new.cursor.offset != expected and expected >= 0:
                return None
            expected = new.cursor.offset + 1
            if new.cursor.fingerprint:
                ring.append(new)
    except ValueError:
        return None
    return ring


def _unpack(packed: bytes) -> Entry:
    head, _, frame = packed.partition(b"\n")
    cursor, timestamp, channel, traceparent = head.decode().split(" ")
    offset, fingerprint = cursor.split("-")
    return Entry(Cursor(int(offset), fingerprint), int(timestamp), channel, frame or None, traceparent)
