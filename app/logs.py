"""The service's log: one JSON object a line, and one line a request."""

import json
import logging
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass
class RequestRecord:
    """What the log says of one request; whoever learns something while it is answered fills it in.

    Attributes
    ----------
    path
        Without the query.
    key
        The name of the API key, never the key.
    code
        Of the problem that was answered.
    """

    request_id: str = ""
    method: str = ""
    path: str = ""
    status: int | None = None
    duration_ms: float | None = None
    n_pixels: int | None = None
    count: int | None = None
    key: str | None = None
    code: str | None = None


request_record: ContextVar[RequestRecord] = ContextVar("request_record")


class JsonFormatter(logging.Formatter):
    """Every line is an object: time, level, logger and message, then what is known of the request.

    Examples
    --------
    >>> record = logging.makeLogRecord({"name": "app", "levelname": "INFO", "msg": "Ready", "created": 0})
    >>> JsonFormatter().format(record)
    '{"time": "1970-01-01T00:00:00.000+00:00", "level": "INFO", "logger": "app", "message": "Ready"}'
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line; a stack trace is inside, as text."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := request_record.get(None):
            line["request_id"] = request.request_id
        line |= getattr(record, "request", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
