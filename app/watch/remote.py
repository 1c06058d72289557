"""A Karyometer service elsewhere, as a program that sends it files sees it."""

import json
import ssl
from collections.abc import Iterable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from app import __version__
from app.errors import OptionError

_LONGEST_ANSWER = 2**20
_TOO_SLOW, _TOO_MANY, _SERVER_ERRORS = 408, 429, 500


class LaterError(Exception):
    """The service cannot be reached, or takes nothing now; `retry_after_s` is when it wants to be asked again."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Answer(NamedTuple):
    """What the service said: a status, where something new is, and its JSON, if that is an object."""

    status: int
    location: str
    body: dict[str, Any]

    @property
    def sentence(self) -> str:
        """What it says of a problem."""
        if self.location:
            return f"It has moved to {self.location}; give that address."
        return str(self.body.get("detail") or f"The answer has the status {self.status}.")


class RemoteService:
    """Requests to a service, each over a connection of its own.

    Parameters
    ----------
    address
        Such as `http://host:8000`; a path in it stands before that of each request.
    key
        The API key, where one is needed.
    timeout_s
        How long a connection may stand still.

    Raises
    ------
    OptionError
        The address or the key can be none.
    """

    def __init__(self, address: str, key: str | None = None, timeout_s: float = 120) -> None:
        try:
            parts = urlsplit(address)
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:
            parts, self._host = urlsplit(""), ""
        if parts.scheme not in ("http", "https") or not self._host or parts.query or parts.username:
            raise OptionError(f"{address!r} is no address of a server; give one such as http://host:8000.")
        if key is not None and not (key.isascii() and key.isprintable() and key):
            raise OptionError("The API key is not a line of letters and digits; give it as `karyometer key` showed it.")
        self.address = address.rstrip("/")
        self._context = ssl.create_default_context() if parts.scheme == "https" else None
        self._prefix = quote(parts.path.rstrip("/"), safe="/%")
        self._timeout_s = timeout_s
        self._headers = {"User-Agent": f"karyometer/{__version__}", "Accept": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """A request whose body, if there is one, is JSON; see `send`."""
        content = b"" if body is None else json.dumps(body).encode()
        typed = {} if body is None else {"Content-Type": "application/json"}
        return self.send(method, path, [content], len(content), typed | dict(headers or {}))

    def send(self, method: str, path: str, chunks: Iterable[bytes], n_bytes: int, headers: Mapping[str, str]) -> Answer:
        """A request whose body comes in parts, of which only one is in memory.

        Raises
        ------
        LaterError
            There is no answer, or one that another try may change: too slow, too many, full, stopping.
        """
        connection = self._connection()
        try:
            connection.connect()
            connection.putrequest(method, self._prefix + path)
            for name, value in {**self._headers, **headers, "Content-Length": str(n_bytes)}.items():
                connection.putheader(name, value)
            connection.endheaders()
            _send_body(connection, chunks)
            response = connection.getresponse()
            content = response.read(_LONGEST_ANSWER)
        except (OSError, HTTPException, UnicodeError) as exc:
            said = str(exc) or type(exc).__name__
            raise LaterError(f"{self.address} does not answer ({said}).") from exc
        finally:
            connection.close()
        answer = Answer(response.status, response.headers.get("Location", ""), _object(content))
        if response.status in (_TOO_SLOW, _TOO_MANY) or response.status >= _SERVER_ERRORS:
            after = response.headers.get("Retry-After", "")
            raise LaterError(answer.sentence, float(after) if after.isdecimal() else None)
        return answer

    def _connection(self) -> HTTPConnection:
        if self._context is None:
            return HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        return HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._context)


def _send_body(connection: HTTPConnection, chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        try:
            connection.send(chunk)
        except OSError:
            # A service that refuses before it has read all hangs up; its answer says why.
            return


def _object(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
