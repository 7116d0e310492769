"""A real broker for tests: KAFKA_BROKERS reaches it, its topics may be made and deleted; KAFKA_CONTAINER runs it.

KAFKA_USER and KAFKA_PASSWORD_FILE are those of a user who may do everything, where the broker asks for one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

BROKERS = os.environ.get("KAFKA_BROKERS", "")
USER, PASSWORD_FILE = os.environ.get("KAFKA_USER", ""), os.environ.get("KAFKA_PASSWORD_FILE", "")
# The settings of a replica, and the options of a client.
SETTINGS: dict[str, Any] = {"kafka_brokers": BROKERS, "kafka_user": USER, "kafka_password_file": PASSWORD_FILE}
SIGNED_IN = {
    "security_protocol": "SASL_PLAINTEXT",
    "sasl_mechanism": "SCRAM-SHA-512",
    "sasl_plain_username": USER,
    "sasl_plain_password": Path(PASSWORD_FILE).read_text() if PASSWORD_FILE else "",
}
CLIENT: dict[str, Any] = {"bootstrap_servers": BROKERS, **(SIGNED_IN if USER else {})}
CONTAINER = os.environ.get("KAFKA_CONTAINER", "")
needed = pytest.mark.skipif(not BROKERS, reason="KAFKA_BROKERS names no broker")
killable = pytest.mark.skipif(not (BROKERS and CONTAINER), reason="KAFKA_BROKERS and KAFKA_CONTAINER name no broker")


def administer(work: Callable[[AIOKafkaAdminClient], Coroutine[Any, Any, object]]) -> None:
    """Do something as the broker's administrator."""

    async def run() -> None:
        admin = AIOKafkaAdminClient(**CLIENT)
        await admin.start()
        try:
            await work(admin)
        finally:
            await admin.close()

    asyncio.run(run())
