"""How much one publisher may publish and how many streams one address may hold, over all replicas through Redis.

A publisher pays for the work that it causes, also for what is refused afterwards: one token for an event, for a KiB of
the body or for 64 values of its JSON, whichever is most. A large body is paid for in steps, each before the work: its
length before any of it is read, its values before they are parsed, its events before they are stored.

A narrow ticket pays twice: from the rate of its credential, and from a share of its own of that rate. So a visitor who
was handed a ticket cannot spend what the other visitors of the same page, or its server, need.

A replica decides first by what it knows itself. Only what passes is asked of Redis, in one round trip under a short
deadline. Where Redis does not answer (none is configured, it is away or slow), the decision of the replica stands. Each
of N replicas then grants the whole limit, so nothing more is refused than before, and a metric counts these requests.

Streams are counted without a counter that could drift. Each replica writes its own absolute number for an address, and
its numbers count while the lease that it renews is alive. A killed replica stops counting once its lease has ended.
After a pause of a replica, or after Redis lost its memory, every number is written again.
"""

import asyncio
import logging
import math
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from redis import RedisError

from sse_app.base.metrics import Metrics
from sse_app.base.outcomes import SharedLimit
from sse_app.base.problem import Problem
from sse_app.base.redis_client import connect
from sse_app.base.settings import Settings

_ANSWER_SECONDS = 0.1  # no request waits longer for Redis
_PAUSE_SECONDS = 1.0  # after a failure, in which Redis is not asked
_LEASE_SECONDS = 15  # for which the streams of a killed replica still count
_RENEW_SECONDS = 5.0
_FLUSH_SECONDS = 0.2  # in which closed streams are gathered, to tell Redis in one round trip
_FLUSH_ADDRESSES = 1000  # per round trip
_FORGET_SECONDS = 86_400  # for a silent address; counted anew whenever a stream of it begins or ends
_ROUNDING_SECONDS = 0.001  # of floating-point times: a full burst must pass
_TOKEN_BYTES = 1024  # of a body
_TOKEN_VALUES = 64  # of its JSON: of 16 bytes each, they are as many bytes; a list of 128,000 takes 20 ms to parse
_TESTS = 1000  # load tests that a replica remembers
_TEST_OVER_SECONDS = 60.0  # without a publish, after which a load test is another one
_TEST_LATE_SECONDS = 5.0  # for what was on its way when a load test ended
_SMALL = 4096  # bytes: to read and parse these costs less than to ask Redis twice
_PUBLISHERS = 10_000  # in the memory of a replica, about 2 MB; a forgotten one starts with a full bucket

# A token bucket is the one time at which it will be full (GCRA). KEYS: buckets, of which all give or none; events, and
# for each bucket events per second and burst.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local full, longest = {}, 0
for index, key in ipairs(KEYS) do
  local rate, burst = ARGV[2 * index], ARGV[2 * index + 1]
  full[index] = math.max(tonumber(redis.call('GET', key) or now), now) + ARGV[1] / rate
  longest = math.max(longest, full[index] - now - burst / rate)
end
if longest > 0.001 then return string.format('%.3f', longest) end
for index, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.6f', full[index]), 'PX', math.ceil((full[index] - now) * 1000) + 1000)
end
return '0'
"""
# KEYS[1]: streams of an address by replica; this replica, its number, the limit, prefix of the leases, seconds to keep.
_ADMIT = """
local total = tonumber(ARGV[2])
local held = redis.call('HGETALL', KEYS[1])
for index = 1, #held, 2 do
  if held[index] ~= ARGV[1] then
    if redis.call('EXISTS', ARGV[4] .. held[index]) == 1 then
      total = total + held[index + 1]
    else
      redis.call('HDEL', KEYS[1], held[index])
    end
  end
end
if total > tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 1
"""
_SCRIPTS: dict[SharedLimit, str] = {"publish": _TAKE, "streams": _ADMIT}
logger = logging.getLogger(__name__)


class Bucket(NamedTuple):
    """What one payer may spend: so many tokens a second for long, and `burst` of them at once."""

    name: str
    rate: float
    burst: int


class Buckets:
    """The token buckets of one replica: each is the one time at which it will be full."""

    def __init__(self) -> None:
        self._full: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full)

    def take(self, buckets: Sequence[Bucket], tokens: int) -> float:
        """Take so many tokens of each and return 0, or take none and return the seconds until all have as many."""
        now = time.monotonic()
        full = [max(self._full.get(one.name, now), now) + tokens / one.rate for one in buckets]
        wait = max(until - now - one.burst / one.rate for one, until in zip(buckets, full, strict=True))
        if wait > _ROUNDING_SECONDS:
            return wait
        for one, until in zip(buckets, full, strict=True):
            self._full[one.name] = until
            self._full.move_to_end(one.name)
        while len(self._full) > _PUBLISHERS:
            self._full.popitem(last=False)
        return 0.0


class LoadTests:
    """How long each load test goes on, by its name; the name is what its publishes say in their header."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: OrderedDict[bytes, tuple[float, float]] = OrderedDict()  # when it began, and was last heard of

    def __len__(self) -> int:
        return len(self._known)

    def lasts(self, name: bytes) -> bool:
        """Whether a load test may go on."""
        now = time.monotonic()
        begun, heard = self._known.get(name, (now, now))
        if now - heard > _TEST_OVER_SECONDS:
            begun = now
        self._known[name] = (begun, now)
        self._known.move_to_end(name)
        if len(self._known) > _TESTS:
            self._known.popitem(last=False)
        return now - begun <= self._seconds + _TEST_LATE_SECONDS


class Charge:
    """What one publish costs its publisher; each step raises Problem 429 where it is more than there is."""

    def __init__(self, limits: "Limits", publisher: str, ticket: str) -> None:
        self._limits = limits
        self._publisher, self._ticket = publisher, ticket
        self._size = self._paid = 0

    async def announced(self, size: int) -> None:
        """Pay for a body that nobody has read yet."""
        if size > _SMALL:
            await self._pay(-(-size // _TOKEN_BYTES))

    async def arrived(self, body: bytes) -> None:
        """Pay for a large body that nobody has parsed yet."""
        self._size = self._limits.size(body)
        if len(body) > _SMALL:
            await self._pay(self._size)

    async def parsed(self, events: int = 0) -> int:
        """Pay for what was found in it, and return how much that is; for a body that is refused, nothing was."""
        tokens = max(1, events, self._size)
        await self._pay(tokens)
        return tokens

    async def _pay(self, tokens: int) -> None:
        due = min(tokens, self._limits.burst) - self._paid  # no more than a full bucket has
        if due > 0:
            await self._limits.publish(self._publisher, due, self._paid, self._ticket)
            self._paid += due


class Limits:
    """Both limits; each is off where its setting is 0."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._rate, self.burst = settings.publish_rate, settings.publish_burst
        self._most = settings.max_streams_per_address
        self._shared = bool(settings.redis_host) and bool(self._rate or self._most)
        self._settings = settings
        self._metrics = metrics
        self._ticket_part = settings.publish_percent_per_ticket / 100
        self._buckets = Buckets()
        # The name is one that no publisher has: a second of the rate may come at once.
        self._tests = Bucket("", settings.load_test_rate, max(1, math.ceil(settings.load_test_rate)))
        self._lasting = LoadTests(settings.load_test_seconds)
        self._streams: Counter[str] = Counter()  # by address, of this replica
        self._untold: set[str] = set()  # addresses whose number in Redis may be wrong
        self._something = asyncio.Event()
        self._replica = secrets.token_hex(8)  # names this process: the name of the replica outlives it
        self._lease = f"{settings.topic}:replica:"
        self._client: Any = None  # see connect()
        self._scripts: dict[SharedLimit, Any] = {}
        self._paused_until = 0.0
        self._alone = False  # whether Redis does not answer
        self._leased = False

    # --- publishes

    @property
    def rated(self) -> bool:
        """Whether publishers have a rate at all."""
        return self._rate > 0

    def charge(self, publisher: str, ticket: str = "") -> Charge:
        """Begin to count one publish against the rate of its publisher, and the share of a narrow ticket."""
        return Charge(self, publisher, ticket)

    def size(self, body: bytes) -> int:
        """The events that a body counts for, whatever is in it."""
        if not self._rate:
            return 0
        values = body.count(b",") + body.count(b"[") + body.count(b"{")  # before each value of a list or an object
        return max(-(-len(body) // _TOKEN_BYTES), -(-values // _TOKEN_VALUES))

    async def publish(self, publisher: str, tokens: int, paid: int = 0, ticket: str = "") -> None:
        """Take tokens of a publisher; Problem 429 says when to try again, which pays anew what is paid already."""
        if not self._rate:
            return
        whole = Bucket(publisher, self._rate, self.burst)
        buckets = [whole]
        if ticket:
            # A body of more tokens than the share holds at once is taken from a full one, which is in debt after it.
            most = max(math.ceil(self.burst * self._ticket_part), paid + tokens)
            buckets.append(Bucket(f"{publisher}\n{ticket}", self._rate * self._ticket_part, most))
        if wait := await self._take("rate:", buckets, tokens):
            self._metrics.limited["publish"] += 1
            slowest = buckets[-1].rate
            seconds = math.ceil(min(wait + paid / slowest, self.burst / slowest))
            share = f", of which a ticket has {self._ticket_part:.0%}" if ticket else ""
            detail = f"over {whole.rate:g} events or KiB per second (bursts of {whole.burst}){share}"
            raise Problem(429, f"{detail}; try again in {seconds} s", {"retry-after": str(seconds)})

    async def load_test(self, name: bytes, events: int) -> None:
        """Take events of all load tests together; Problem 429 where they are over their rate.

        Problem 403 where there are none, or this one goes on for longer than one may. A header says that a publish is
        of a load test. Who leaves it out is an ordinary publisher, with that rate.
        """
        tests = self._tests
        if not tests.rate:
            raise Problem(403, "load tests are switched off here (SSE_LOAD_TEST_RATE is 0)")
        if not self._lasting.lasts(name):
            most = f"{self._settings.load_test_seconds} s, which one may last here (SSE_LOAD_TEST_SECONDS)"
            raise Problem(403, f"this load test is over: it went on for {most}")
        if wait := await self._take("load-test", [tests], min(events, tests.burst)):
            self._metrics.limited["publish"] += 1
            detail = f"load tests may publish {tests.rate:g} events per second here, all together (SSE_LOAD_TEST_RATE)"
            raise Problem(429, f"{detail}; try again in {math.ceil(wait)} s", {"retry-after": str(math.ceil(wait))})

    async def _take(self, prefix: str, buckets: Sequence[Bucket], tokens: int) -> float:
        """Take tokens of each bucket and return 0, or take none and return the seconds until all have as many."""
        wait = self._buckets.take(buckets, tokens)
        if wait or not self._settings.redis_host:
            return wait
        keys = [f"{self._settings.topic}:{prefix}{one.name}" for one in buckets]
        answer = await self._ask("publish", keys, tokens, *(part for one in buckets for part in (one.rate, one.burst)))
        return 0.0 if answer is None else float(answer)

    # --- streams

    async def enter(self, address: str) -> bool:
        """Count a stream in; False where the address already holds as many as it may. Each True needs a leave()."""
        if not self._most:
            return True
        self._streams[address] += 1
        number = self._streams[address]
        granted = number <= self._most
        if granted and self._shared:
            try:
                mine = (self._replica, number, self._most, self._lease, _FORGET_SECONDS)
                answer = await self._ask("streams", [self._key(address)], *mine)
            except asyncio.CancelledError:
                self.leave(address)
                raise
            granted = answer is None or int(answer) == 1
            if answer is None or self._streams[address] != number:  # of several at once the answers may have crossed
                self._untold.add(address)
                self._something.set()
        if not granted:
            self._metrics.limited["streams"] += 1
            self.leave(address)
        return granted

    def leave(self, address: str) -> None:
        """Count a stream out."""
        if not self._most:
            return
        self._streams[address] -= 1
        if not self._streams[address]:
            del self._streams[address]
        if self._shared:
            self._untold.add(address)
            self._something.set()

    def _key(self, address: str) -> str:
        return f"{self._settings.topic}:streams:{address}"

    # --- Redis

    async def _ask(self, limit: SharedLimit, keys: Sequence[str], *arguments: object) -> bytes | int | None:
        """The answer of the script of a limit; None when Redis does not give one in time."""
        if time.monotonic() >= self._paused_until:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    self._connected()
                    answer = await self._scripts[limit](keys, arguments)
            except (RedisError, OSError) as error:  # TimeoutError is an OSError
                self._answers(error)
            else:
                self._answers()
                return answer
        self._metrics.unshared[limit] += 1
        return None

    def _connected(self) -> Any:
        if self._client is None:
            self._client = connect(self._settings)
            for limit, text in _SCRIPTS.items():
                self._scripts[limit] = self._client.register_script(text)
        return self._client

    def _answers(self, error: Exception | None = None) -> None:
        """Take note whether Redis answers, and write a line for each change."""
        if error is not None:
            self._paused_until = time.monotonic() + _PAUSE_SECONDS
        if self._alone != (error is not None):
            self._alone = error is not None
            what = f"not shared for now: Redis does not answer ({type(error).__name__})" if error else "shared again"
            logger.log(logging.WARNING if error else logging.INFO, "limits are %s", what)

    async def run(self) -> None:
        """Renew the lease of this replica and tell Redis the numbers of closed streams, for ever."""
        due = 0.0
        while self._shared and self._most:
            try:
                async with asyncio.timeout(1.0):
                    client = self._connected()
                    if time.monotonic() >= due:
                        before = await client.set(self._lease + self._replica, 1, ex=_LEASE_SECONDS, get=True)
                        due = time.monotonic() + _RENEW_SECONDS
                        if self._leased and before is None:  # meanwhile the others counted without this replica
                            self._untold |= self._streams.keys()
                        self._leased = True
                    await self._tell(client)
            except (RedisError, OSError) as error:
                self._answers(error)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            await self._quiet(due)

    async def _quiet(self, due: float) -> None:
        """Wait until the lease is due, or streams have closed."""
        if not self._untold:
            self._something.clear()
            try:
                async with asyncio.timeout(max(0.0, due - time.monotonic())):
                    await self._something.wait()
            except TimeoutError:
                return
        await asyncio.sleep(_FLUSH_SECONDS)

    async def _tell(self, client: Any) -> None:
        batch = [address for _, address in zip(range(_FLUSH_ADDRESSES), self._untold, strict=False)]
        if not batch:
            return
        pipeline = client.pipeline(transaction=False)
        self._untold.difference_update(batch)  # an address that changes from here on is told again
        try:
            for address in batch:
                key, number = self._key(address), self._streams.get(address, 0)
                if number:
                    pipeline.hset(key, self._replica, number)
                    pipeline.expire(key, _FORGET_SECONDS)
                else:
                    pipeline.hdel(key, self._replica)
            await pipeline.execute()
        except BaseException:
            self._untold.update(batch)
            raise

    async def close(self) -> None:
        """Close every connection; the numbers of this replica stop counting when its lease ends."""
        if self._client is not None:
            with suppress(RedisError, OSError):
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self._client.aclose()
