"""How the service connects to Redis: by TLS only to a server whose certificate is valid and for its name."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from redis import ConnectionError as RedisConnectionError

from sse_app.base.redis_client import connect
from sse_app.base.settings import Settings


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `localhost` that is its own authority, beside its key."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    files = ["-keyout", str(path.with_name("key.pem")), "-out", str(path)]
    subprocess.run(
        ["openssl", *asked.split(), "-addext", "subjectAltName=DNS:localhost", *files], check=True, capture_output=True
    )
    return path


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say PONG to whatever is asked."""
    while count := await reader.readline():
        for _ in range(2 * int(count[1:])):
            await reader.readline()
        writer.write(b"+PONG\r\n")
    writer.close()


async def asked(certificate: Path, **settings: Any) -> bool:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        client = connect(Settings(redis_port=port, **settings), 5)
        try:
            return bool(await client.ping())
        finally:
            await client.aclose()


def test_a_server_that_the_authorities_vouch_for_is_asked(certificate: Path) -> None:
    ca = str(certificate)
    assert asyncio.run(asked(certificate, redis_host="localhost", redis_tls=True, redis_ca_file=ca))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_another_name_and_an_unknown_authority_are_refused(certificate: Path, host: str) -> None:
    ca = str(certificate) if host == "127.0.0.1" else ""
    with pytest.raises(RedisConnectionError, match="certificate verify failed"):
        asyncio.run(asked(certificate, redis_host=host, redis_tls=True, redis_ca_file=ca))
