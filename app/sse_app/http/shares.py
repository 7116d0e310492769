"""How much of the time of this replica the requests of one address take.

One loop does everything: while it computes for one request, every other request and every stream waits. So the loop's
time is what a client takes from others, whatever it asks for. Each step of a request, from where it goes on to where it
waits, is measured and charged to its address. An address that has taken more than its share of the last seconds waits:
its requests come one after the other then, at the pace of its share. Where too many of them wait, or one would wait too
long, it is refused.

Publishes have a rate of their own, by events and bytes, over all replicas: see access/limits.py.
"""

import asyncio
import math
from collections.abc import Coroutine, Generator
from time import thread_time
from typing import Any

from sse_app.base import request_context
from sse_app.base.account import SCOPE, Account, Accounts
from sse_app.base.asgi import Application, Receive, Scope, Send, header_values
from sse_app.base.client_address import client_address
from sse_app.base.metrics import Metrics
from sse_app.base.problem import Problem
from sse_app.base.settings import Settings
from sse_app.http import offer, publish, stream

_AROUND_SECONDS = 0.0001  # that the server needs for the head of a request and for its answer, beside its steps
_WAIT_SECONDS = 5.0  # so long a request waits
_WAITING = 100  # requests of one address that wait
_WAITING_ALL = 1000  # requests of all addresses, of about 10 KB each


class _Measured:
    """A coroutine of which each step is charged to an account."""

    __slots__ = ("_account", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, None], account: Account) -> None:
        self._coroutine = coroutine
        self._account = account

    def __await__(self) -> Generator[Any, Any, None]:
        account = self._account
        go_on, charge = self._coroutine.send, account.charge
        argument: Any = None
        while True:
            begun = thread_time()  # not the time that passed: where the machine is busy, that is much more
            try:
                awaited = go_on(argument)
            except StopIteration:
                return
            finally:
                charge(thread_time() - begun)
            try:
                if awaited is None and account.wait > 0:  # it leaves others their turn, as asyncio.sleep(0) does
                    yield from account.pace().__await__()
                    argument = None
                else:
                    argument = yield awaited
                go_on = self._coroutine.send
            except BaseException as error:  # noqa: BLE001 - the coroutine gets it
                argument, go_on = error, self._coroutine.throw


class Shares:
    """ASGI application: hands requests on; those of an address that has taken its share wait, or are refused."""

    def __init__(self, settings: Settings, metrics: Metrics, otherwise: Application) -> None:
        self._accounts = Accounts(settings.time_percent_per_address / 100)
        self._proxies = settings.proxies
        self._retry = settings.retry_milliseconds
        self._metrics = metrics
        self._otherwise = otherwise
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Measure everything but publishes and the question for an offer, whose answer must not come late."""
        path = scope["path"] if scope["type"] == "http" else offer.PATH
        if path == offer.PATH or (path == publish.PATH and scope["method"] == "POST"):
            await self._otherwise(scope, receive, send)
            return
        account = self._accounts.of(client_address(scope, self._proxies))
        account.charge(_AROUND_SECONDS)
        if account.waiting or account.wait > 0:
            try:
                await self._turn(account)
            except Problem as problem:
                self._metrics.limited["time"] += 1
                request_context.begin(header_values(scope, request_context.HEADER), ())
                if scope["path"] == stream.PATH:
                    await stream.turn_away(send, self._retry)
                else:
                    await problem.answer(send)
                return
        scope[SCOPE] = account
        coroutine: Any = self._otherwise(scope, receive, send)
        await _Measured(coroutine, account)

    async def _turn(self, account: Account) -> None:
        """Wait until an address may take more; raises Problem 429 where that takes too long."""
        if account.waiting >= _WAITING or self._waiting >= _WAITING_ALL:
            raise _spent(account)
        self._metrics.paced += 1
        account.waiting += 1
        self._waiting += 1
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await account.pace()
        except TimeoutError:
            raise _spent(account) from None
        finally:
            account.waiting -= 1
            self._waiting -= 1


def _spent(account: Account) -> Problem:
    seconds = math.ceil(max(account.wait, 1.0))
    detail = f"what this address asks for takes more than its share of this replica's time; try again in {seconds} s"
    return Problem(429, detail, {"retry-after": str(seconds)})
