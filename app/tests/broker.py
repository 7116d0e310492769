"""A real broker for tests: KAFKA_BROKERS reaches it, its topics may be made and deleted; KAFKA_CONTAINER runs it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

BROKERS = os.environ.get("KAFKA_BROKERS", "")
CONTAINER = os.environ.get("KAFKA_CONTAINER", "")
needed = pytest.mark.skipif(not BROKERS, reason="KAFKA_BROKERS names no broker")
killable = pytest.mark.skipif(not (BROKERS and CONTAINER), reason="KAFKA_BROKERS and KAFKA_CONTAINER name no broker")


def administer(work: Callable[[AIOKafkaAdminClient], Coroutine[Any, Any, object]]) -> None:
    """Do something as the broker's administrator."""

    async def run() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=BROKERS)
        await admin.start()
        try:
            await work(admin)
        finally:
            await admin.close()

    asyncio.run(run())
