"""A connection to Redis as the settings describe it."""

from typing import Any

from redis import CredentialProvider
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from sse_app.base.settings import Settings


class _Password(CredentialProvider):
    """Read at every new connection, so that the password can change without a restart."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._settings.redis_password()
        return (self._settings.redis_user, password) if self._settings.redis_user else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


def connect(
    settings: Settings, seconds: float | None = None
) -> Any:  # redis-py types its commands as "awaitable or not"
    """A client that connects at its first command; `seconds` bounds each answer, None leaves that to the caller."""
    return Redis(
        host=settings.redis_host,
        port=settings.redis_port,
        ssl=settings.redis_tls,
        ssl_ca_certs=settings.redis_ca_file or None,
        ssl_check_hostname=True,
        credential_provider=_Password(settings) if settings.redis_password_file else None,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        # redis-py's own default repeats for half a minute. A connection from before a restart of Redis fails once.
        retry=Retry(NoBackoff(), 1),
    )
