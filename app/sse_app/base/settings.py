"""Configuration by environment variables: each with its default, its bounds, and the reason for its bounds."""

import difflib
import json
import os
import re
import socket
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from sse_app.base import channels
from sse_app.base.channels import Filter
from sse_app.base.client_address import Network, networks

UNPREFIXED = (
    *("kafka_brokers", "kafka_mechanism", "kafka_user", "kafka_password_file", "kafka_tls", "kafka_ca_file"),
    *("redis_host", "redis_port", "redis_user", "redis_password_file", "redis_tls", "redis_ca_file"),
)


def _list_of(pattern: str, expected: str) -> AfterValidator:
    def check(value: str) -> str:
        if value and not all(re.fullmatch(pattern, part) for part in value.split(",")):
            raise ValueError(f"expected {expected}, separated by commas")
        return value

    return AfterValidator(check)


Brokers = Annotated[str, _list_of(r"[^\s:,]+:\d{1,5}", "host:port")]
# As browsers write them, because they are compared letter by letter: any other spelling would allow nobody.
Origins = Annotated[
    str,
    _list_of(
        r"\*|(?!http://.*:80$|https://.*:443$)https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?",
        "* or origins as browsers send them, such as https://example.org (small letters, no path, star or usual port)",
    ),
]


def issuers(text: str) -> dict[str, str]:
    """The issuers of a JSON object, as their tokens have them in `iss`, and the addresses of their keys; ValueError."""
    try:
        read: Any = json.loads(text or "{}")
    except ValueError:
        read = None
    found: dict[str, Any] = cast("dict[str, Any]", read) if isinstance(read, dict) else {}
    if not isinstance(read, dict) or len(found) > _ISSUERS:
        raise ValueError(f"expected a JSON object of at most {_ISSUERS} issuers and the addresses of their keys")
    for name, url in found.items():
        if not 1 <= len(name) <= 200 or not name.isprintable():
            raise ValueError("an issuer: expected 1 to 200 printable characters")
        asked = isinstance(url, str) and url.isascii() and url.isprintable()
        if not asked or not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s#]*)?", url):
            raise ValueError(f"{name}: expected an address such as https://login.example.org/jwks.json")
    return found


def _checked_issuers(text: str) -> str:
    issuers(text)
    return text


_ISSUERS = 100  # each is asked every few minutes
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]


class ConfigurationError(Exception):
    """What is wrong with the configuration, in one line that names the variable."""


class Settings(BaseModel):
    """The variable of the field `heartbeat_seconds` is SSE_HEARTBEAT_SECONDS; those of UNPREFIXED have no prefix."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("0.0.0.0", min_length=1)  # noqa: S104 - its own network namespace is the boundary  # nosec B104
    port: int = Field(8000, ge=0, le=65535, description="0: any free port")
    socket_path: str = Field("", max_length=107, pattern=r"^(/.+)?$", description="a Unix socket to listen on as well")
    replica: Name = Field(default_factory=lambda: re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()) or "replica")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "text"
    cors_origins: Origins = Field("", description="origins, separated by commas, or *")

    auth: bool = Field(False, description="on: every client needs a credential that the files below make valid")
    keys_files: str = Field("", description="files of hashed API keys, separated by commas: see access/api_keys.py")
    jwt_secret_file: str = Field("", description="HS256: secrets of at least 32 bytes, one a line, the newest first")
    jwks_file: str = Field("", description="RS256, ES256: a JWK set")
    issuers: Annotated[str, AfterValidator(_checked_issuers)] = Field(
        "", description="issuers of tokens and the https addresses of their JWK sets, as a JSON object"
    )
    issuers_allow_private: bool = Field(False, description="the addresses may be private ones (10.0.0.0/8 and others)")
    issuers_allow_http: bool = Field(
        False, description="the keys may come without TLS, so anybody on the way makes them"
    )
    issuers_seconds: float = Field(300, ge=1, le=86_400, description="after which the keys are fetched anew")
    jwt_audience: str = Field("", description="empty: a token that names an audience is refused")
    jwt_issuer: str = ""
    public_channels: str = Field("", description="channels and patterns that everybody may subscribe to")
    jwt_leeway_seconds: int = Field(30, ge=0, le=300, description="for clocks that differ, on exp, nbf and iat")
    ticket_key_file: str = Field("", description="the same for all replicas: secrets of at least 32 bytes, one a line")
    ticket_seconds: int = Field(60, ge=1, le=3600, description="for which a ticket begins streams; it resumes longer")
    session_seconds: int = Field(43_200, ge=60, le=30 * 86_400, description="at most as long as the token is valid")
    audit_sample: int = Field(
        100, ge=0, le=1_000_000, description="of so many allowed decisions one is logged; 0: none"
    )
    auth_check_seconds: float = Field(2, ge=0.05, le=60, description="how soon a changed file counts")

    trusted_proxies: str = Field("", description="addresses, networks and names whose X-Forwarded-For counts")
    publish_rate: float = Field(0, ge=0, le=1e6, description="events or KiB a second of one publisher; 0: no limit")
    publish_burst: int = Field(1000, ge=1, le=1_000_000, description="events at once; a batch must fit")
    publish_percent_per_ticket: int = Field(10, ge=1, le=100, description="of the rate of the credential behind it")
    load_test_rate: float = Field(500, ge=0, le=1e6, description="events a second of all load tests; 0: refuse them")
    load_test_seconds: int = Field(300, ge=1, le=86_400, description="that one load test may last")
    max_streams_per_address: int = Field(0, ge=0, le=1_000_000, description="0: no limit")
    time_percent_per_address: int = Field(0, ge=0, le=100, description="of this replica; 0: no limit")

    kafka_brokers: Brokers = Field("", description="host:port,...; empty: the embedded log of this process")
    kafka_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    kafka_user: str = Field("", description="empty: Kafka asks nobody who they are")
    kafka_password_file: str = ""
    kafka_tls: bool = Field(False, description="on: its certificate must be valid, and for the names of the brokers")
    kafka_ca_file: str = Field("", description="PEM: who signs its certificate; empty: those whom the system trusts")
    otlp_endpoint: str = Field(
        "",
        pattern=r"^(https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
        r"(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[^\s?#]*)?)?$",
        description="of a collector, for OTLP over HTTP; empty: no spans",
    )
    otlp_sample: int = Field(
        100, ge=0, le=1_000_000, description="of so many publishes without a trace one begins one; 0: none"
    )

    topic: Name = "sse-events"
    topic_replication: int = Field(1, ge=1, le=10)
    topic_given: bool = Field(False, description="on: somebody else makes the topic, and nothing is changed there")
    retention_seconds: int = Field(86_400, ge=60, le=10 * 365 * 86_400)
    retention_bytes: int = Field(-1, ge=-1, description="of the log; -1 is no limit")
    flush_messages: int = Field(1, ge=1, description="1: fsync before each acknowledgement, for power cuts")
    embedded_events: int = Field(100_000, ge=100, le=10_000_000)

    redis_host: str = ""
    redis_port: int = Field(6379, ge=1, le=65535)
    redis_user: str = Field("", description="empty: the user that Redis calls default")
    redis_password_file: str = ""
    redis_tls: bool = Field(False, description="on: its certificate must be valid, and for REDIS_HOST")
    redis_ca_file: str = Field("", description="PEM: who signs its certificate; empty: those whom the system trusts")
    sequence_events: int = Field(100_000, ge=1, le=10_000_000, description="that Redis keeps for resumes")
    sequence_bytes: int = Field(48 * 2**20, ge=2**16, le=4 * 2**30, description="that those take in Redis at most")

    max_body_bytes: int = Field(262_144, ge=1024, le=8 * 2**20)
    max_event_bytes: int = Field(61_440, ge=1024, le=8 * 2**20, description="of one event as a frame of a stream")
    max_batch_events: int = Field(500, ge=1, le=10_000)
    schemas_dir: str = Field("", description="of JSON files, see access/schemas.py; empty: any data is accepted")
    pause_file: str = Field("", pattern=r"^(/.+)?$", description="while it is there, publishing is paused")
    max_publishes: int = Field(1000, ge=1, le=100_000, description="at the same time: each holds a body in memory")
    publish_deadline_seconds: float = Field(5, ge=1, le=60)
    dedupe_window: int = Field(20_000, ge=100, le=1_000_000, description="offsets of about 350 bytes of memory each")
    dedupe_seconds: int = Field(600, ge=10, le=86_400, description="where it is not set: at most the retention")

    max_streams: int = Field(15_000, ge=1, le=1_000_000, description="below the limit of open files")
    max_stats_streams: int = Field(100, ge=1, le=10_000, description="each costs a write and a task switch a second")
    max_channels_per_stream: int = Field(100, ge=1, le=1000)
    heartbeat_seconds: int = Field(15, ge=1, le=300)
    retry_milliseconds: int = Field(2000, ge=100, le=600_000)
    ring_events: int = Field(20_000, ge=10, le=1_000_000)
    ring_bytes: int = Field(32 * 2**20, ge=2**16, le=4 * 2**30)
    write_buffer_bytes: int = Field(262_144, ge=4096, le=16 * 2**20, description="after which a stream is slow")
    send_buffer_bytes: int = Field(65_536, ge=4096, le=4 * 2**20, description="SO_SNDBUF of a connection")
    backlog_bytes: int = Field(64 * 2**20, ge=2**20, le=4 * 2**30, description="that all slow streams hold together")
    slow_reader_seconds: float = Field(30, ge=1, le=600)
    hold_seconds: float = Field(10, ge=0.1, le=60, description="for a cursor that is ahead of this replica")
    drain_seconds: float = Field(5, ge=0, le=300)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        try:
            _ = self.proxies
        except ValueError:
            expected = "expected addresses, networks and names that resolve, separated by commas"
            raise ValueError(f"SSE_TRUSTED_PROXIES={self.trusted_proxies!r}: {expected}") from None
        try:
            _ = self.public
        except ValueError as error:
            raise ValueError(f"SSE_PUBLIC_CHANNELS: {error}") from None
        given = self.keys_files or self.jwt_secret_file or self.jwks_file or self.issuers
        if self.auth and not given:
            raise ValueError("SSE_AUTH=on: expected SSE_KEYS_FILES, SSE_JWT_SECRET_FILE, SSE_JWKS_FILE or SSE_ISSUERS")
        if given and not self.auth:
            raise ValueError(
                f"SSE_AUTH is off, so the credentials in {given!r} would not be asked for: set SSE_AUTH=on"
            )
        if self.publish_rate and self.publish_burst < self.max_batch_events:
            raise ValueError(f"SSE_PUBLISH_BURST={self.publish_burst}: expected at least SSE_MAX_BATCH_EVENTS")
        for name, path in (("REDIS", self.redis_password_file), ("KAFKA", self.kafka_password_file)):
            if path and not os.access(path, os.R_OK):
                raise ValueError(f"{name}_PASSWORD_FILE={path!r}: expected a readable file")
        for name, path, tls in (
            ("REDIS", self.redis_ca_file, self.redis_tls),
            ("KAFKA", self.kafka_ca_file, self.kafka_tls),
        ):
            if path and not tls:
                raise ValueError(f"{name}_CA_FILE={path!r}: {name}_TLS is off, so nothing would ask for it")
            if path and not os.access(path, os.R_OK):
                raise ValueError(f"{name}_CA_FILE={path!r}: expected a readable file")
        if bool(self.kafka_user) != bool(self.kafka_password_file):
            raise ValueError("KAFKA_USER and KAFKA_PASSWORD_FILE go together: expected both of them or none")
        if self.ring_bytes < 8 * self.max_body_bytes:
            raise ValueError(f"SSE_RING_BYTES={self.ring_bytes}: expected at least 8 x SSE_MAX_BODY_BYTES")
        if self.retention_seconds < 2 * self.heartbeat_seconds:
            raise ValueError(f"SSE_RETENTION_SECONDS={self.retention_seconds}: expected at least 2 heartbeats")
        if "dedupe_seconds" in self.model_fields_set and self.dedupe_seconds > self.retention_seconds:
            raise ValueError(f"SSE_DEDUPE_SECONDS={self.dedupe_seconds}: expected at most SSE_RETENTION_SECONDS")
        return self

    @cached_property
    def public(self) -> Filter:
        """The channels that everybody may subscribe to."""
        return channels.parse(filter(None, self.public_channels.split(",")))

    @cached_property
    def proxies(self) -> list[Network]:
        """The networks of the trusted proxies; names are resolved once, at the start."""
        return networks(self.trusted_proxies)

    @property
    def window_seconds(self) -> int:
        """How long a key counts: a log that is trimmed sooner never holds a whole window, and could serve no resume."""
        return min(self.dedupe_seconds, self.retention_seconds)

    def issuer_urls(self) -> dict[str, str]:
        """The address of the keys of each issuer."""
        return issuers(self.issuers)

    def key_files(self) -> list[str]:
        """The files of API keys."""
        return [path for path in self.keys_files.split(",") if path]

    def redis_password(self) -> str:
        """The password, read anew each time so that it can change without a restart; empty where none is set."""
        return Path(self.redis_password_file).read_text().strip() if self.redis_password_file else ""

    def kafka_password(self) -> str:
        """The password, read anew each time like that of Redis."""
        return Path(self.kafka_password_file).read_text().strip() if self.kafka_password_file else ""


def variable(field: str) -> str:
    """The environment variable of a field."""
    return field.upper() if field in UNPREFIXED else f"SSE_{field.upper()}"


def load(environment: Mapping[str, str]) -> Settings:
    """Read and check the environment; ConfigurationError for an unknown SSE_ variable or a bad value."""
    fields = {variable(field): field for field in Settings.model_fields}
    for name in environment:
        if name.startswith("SSE_") and name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            raise ConfigurationError(f"{name}: unknown variable" + (f"; did you mean {near[0]}?" if near else ""))
    try:
        return Settings.model_validate(
            {field: environment[name] for name, field in fields.items() if name in environment}
        )
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise ConfigurationError(message) from None
        raise ConfigurationError(f"{variable(str(first['loc'][0]))}={first['input']!r}: {message}") from None
