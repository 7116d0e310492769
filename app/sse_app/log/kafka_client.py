"""aiokafka's client, which goes on with the other brokers while one of several does not answer.

A host that is lost answers nothing, not even that a port is closed: whatever is asked there ends by a timeout. aiokafka
asks one broker after the other, so that a replica came back up to nine seconds after Kafka had another leader.
"""

import asyncio
import contextlib
import importlib
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

_client: Any = importlib.import_module("aiokafka.client")  # without types
_errors: Any = importlib.import_module("aiokafka.errors")
_metadata: Any = importlib.import_module("aiokafka.protocol.metadata")

_Client: Any = _client.AIOKafkaClient
_HEAD_START_SECONDS = 0.3  # after which the next broker is asked as well
_DOUBT_SECONDS = 1.5  # without an answer, after which others are asked about a broker; the tail waits for one second
_LOOK_SECONDS = 0.25  # between two questions about it
_DEFAULT: Any = _client.ConnectionGroup.DEFAULT
_Answer = TypeVar("_Answer")


async def first(attempts: Sequence[Callable[[], Awaitable[_Answer]]]) -> _Answer:
    """The first answer: each attempt begins when the one before has failed, or has taken a while.

    Raises what the last of them raises where all fail.
    """
    left, tasks = list(attempts), set[asyncio.Future[_Answer]]()
    failed: BaseException = _errors.NodeNotReadyError("there is no broker to ask")
    try:
        while left or tasks:
            if left:
                begun = asyncio.ensure_future(left.pop(0)())
                begun.add_done_callback(_seen)
                tasks.add(begun)
            done, tasks = await asyncio.wait(
                tasks, timeout=_HEAD_START_SECONDS if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for one in done:
                if (error := one.exception()) is None:
                    return one.result()
                failed = error
    finally:
        for one in tasks:
            one.cancel()
    raise failed


def _seen(attempt: asyncio.Future[Any]) -> None:
    """Look at how an attempt ended that nobody waits for any more: asyncio would log that nobody has."""
    if not attempt.cancelled():
        attempt.exception()


class KafkaClient(_Client):
    """The same client: questions that any broker answers go to several, and one that is lost holds nothing up."""

    # It is held while a connection is made. A broker that is lost would keep all the others from being asked.
    _get_conn_lock = contextlib.nullcontext()

    def __init__(self, **options: Any) -> None:
        _Client.__init__(self, **options)
        self._options = options
        self._making: defaultdict[Any, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._answers: int | None = None  # the broker that has answered last

    async def bootstrap(self) -> None:
        """Learn the brokers from whichever of the given ones answers first."""
        servers = str(self._options["bootstrap_servers"]).split(",")
        if len(servers) > 1:
            self._bootstrap_servers = await first([lambda one=one: self._tried(one) for one in servers])
        await _Client.bootstrap(self)
        for broker in self.cluster.brokers():
            if f"{broker.host}:{broker.port}" == self._bootstrap_servers:
                self._answers = broker.nodeId

    async def _tried(self, server: str) -> str:
        tried = _Client(**{**self._options, "bootstrap_servers": server})
        try:
            await tried.bootstrap()
        finally:
            await tried.close()
        return server

    def get_random_node(self) -> int | None:
        """Any broker will do: the one that has answered last, as long as it is one."""
        known = self._answers is not None and self.cluster.broker_metadata(self._answers) is not None
        return self._answers if known else _Client.get_random_node(self)

    async def _get_conn(self, node_id: Any, *, group: Any = _DEFAULT, no_hint: bool = False) -> Any:
        present = self._conns.get((node_id, group))
        if present is not None and present.connected():
            return present
        async with self._making[node_id, group]:
            return await _Client._get_conn(  # noqa: SLF001
                self, node_id, group=group, no_hint=no_hint
            )

    async def _metadata_update(self, cluster_metadata: Any, topics: Any) -> bool:
        nodes: list[int] = [broker.nodeId for broker in self.cluster.brokers()]
        if len(nodes) == 1 or ("bootstrap", _DEFAULT) in self._conns:
            return await _Client._metadata_update(self, cluster_metadata, topics)  # noqa: SLF001
        random.shuffle(nodes)
        request = _metadata.MetadataRequest(list(topics) if topics else None)

        async def asked(node: int) -> tuple[int, Any]:
            connection = await self._get_conn(node)
            if connection is None:
                raise _errors.NodeNotReadyError(f"broker {node} cannot be reached")
            answer = await connection.send(request)
            if not answer.brokers:
                raise _errors.StaleMetadata(f"broker {node} knows no broker")
            return node, answer

        try:
            self._answers, answer = await first([lambda node=node: asked(node) for node in nodes])
        except (_errors.KafkaError, OSError) as error:  # a TimeoutError is an OSError
            cluster_metadata.failed_update(error)
            return False
        cluster_metadata.update_metadata(answer)
        return True

    async def send(self, node_id: int, request: Any, *, group: Any = _DEFAULT) -> Any:
        """Ask a broker, and give up when the others say that it is gone; StaleMetadata then."""
        loop, doubts = asyncio.get_running_loop(), list[asyncio.Task[None]]()
        limit = asyncio.timeout(None)

        async def doubt() -> None:
            while self.cluster.broker_metadata(node_id) is not None:
                await self.force_metadata_update()
                await asyncio.sleep(_LOOK_SECONDS)
            limit.reschedule(loop.time())

        timer = loop.call_later(_DOUBT_SECONDS, lambda: doubts.append(loop.create_task(doubt())))
        try:
            async with limit:
                return await _Client.send(self, node_id, request, group=group)
        except TimeoutError as error:
            if limit.expired():
                if connection := self._conns.pop((node_id, group), None):
                    connection.close()
                raise _errors.StaleMetadata(f"broker {node_id} is gone") from error
            raise
        finally:
            timer.cancel()
            for one in doubts:
                one.cancel()
