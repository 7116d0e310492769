"""The lines that the process writes to stderr: one for each record, JSON for collectors or text for a terminal."""

import json
import logging
import sys
from datetime import UTC, datetime
from types import TracebackType

from sse_app.base import request_context, trace_context
from sse_app.base.settings import Settings

logger = logging.getLogger(__name__)
_LONGEST = 4000  # characters of a message or an exception: Docker's log driver cuts lines at 16 KB


class JsonLines(logging.Formatter):
    """One JSON object a line; what a client may have sent is always inside a string."""

    def __init__(self, replica: str) -> None:
        super().__init__()
        self._replica = replica

    def format(self, record: logging.LogRecord) -> str:
        """Time in UTC, level, logger, message, replica; within a request its id and trace; the exception if any."""
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().strip()[:_LONGEST],
            "replica": self._replica,
        }
        if request_context.request_id():
            document["request_id"] = request_context.request_id()
        if request_context.traceparent():
            document["trace_id"] = trace_context.trace_id(request_context.traceparent())
        if decision := getattr(record, "decision", None):  # see access/audit.py
            document["decision"] = decision
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)[-_LONGEST:]  # its end names the error
        return json.dumps(document)


class TextLines(logging.Formatter):
    """For people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s%(request)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the id of its request at the end."""
        id_ = request_context.request_id()
        record.request = f" (request {id_})" if id_ else ""
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name of the library
        """The line itself: what a client may have sent makes no line of its own, and no colour on a terminal."""
        text = record.message.strip()[:_LONGEST]
        record.message = (
            text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
        )
        return super().formatMessage(record)


def configure(settings: Settings) -> None:
    """Send the lines of every logger, warnings and uncaught exceptions to stderr in the same format."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(settings.replica) if settings.log_format == "json" else TextLines())
    level = settings.log_level.upper()
    logging.basicConfig(level=level, handlers=[handler])
    if level != "DEBUG":  # the client library writes a line for every attempt; the feed writes one for each change
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught


def _uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    logger.critical("the process ends because of an unexpected error", exc_info=(kind, error, traceback))
