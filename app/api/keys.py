"""API keys: who may measure, and the file that says so."""

import hmac
import re
import secrets
from collections.abc import Iterable
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.errors import ApiKeyError, OptionError, SettingsError
from app.logs import RequestRecord, request_record
from app.settings import Settings

_NAME = r"[A-Za-z0-9._-]{1,64}"
_BEARER = HTTPBearer(
    scheme_name="ApiKey", description="The key that the service's operator gave you.", auto_error=False
)


class ApiKeys:
    """The keys that are let in; a dependency of the routes that need one.

    Parameters
    ----------
    digests
        Pairs of a key's name and the SHA-256 of the key in hexadecimal. A name may have several keys, so that one can
        be replaced while both are taken.
    """

    def __init__(self, digests: Iterable[tuple[str, str]]) -> None:
        self._digests = tuple(digests)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of lines `NAME:DIGEST`; empty lines and those that begin with `#` are left out.

        Raises
        ------
        SettingsError
            The file cannot be read, has another kind of line, or no key.
        """
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as exc:
            raise SettingsError(f"KARYOMETER_API_KEYS_FILE names {path}, which is not a text file to read.") from exc
        digests = []
        for number, line in enumerate(lines, start=1):
            if not line or line.startswith("#"):
                continue
            match = re.fullmatch(f"({_NAME}):([0-9a-f]{{64}})", line)
            if match is None:
                # The line itself may hold a key that somebody took for its digest.
                raise SettingsError(
                    f"Line {number} of {path} is not NAME:DIGEST; make lines with the command karyometer key NAME."
                )
            digests.append((match[1], match[2]))
        if not digests:
            raise SettingsError(f"{path} holds no API key; make one with the command karyometer key NAME.")
        return cls(digests)

    async def __call__(self, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]) -> None:
        """Let a request pass that carries one of the keys, and remember its name.

        Raises
        ------
        ApiKeyError
            It carries none, or an unknown one.
        """
        if credentials is None:
            raise ApiKeyError("This needs an API key; send it as the header Authorization: Bearer KEY.")
        digest = sha256(credentials.credentials.encode()).hexdigest()
        # All are compared, so that the time taken says nothing of which came close.
        names = [name for name, known in self._digests if hmac.compare_digest(known, digest)]
        if not names:
            raise ApiKeyError("This API key is not known here; ask the service's operator for one.")
        request_record.get(RequestRecord()).key = names[0]


def required_keys(settings: Settings) -> ApiKeys | None:
    """The keys that requests need; None where anyone may ask.

    Raises
    ------
    SettingsError
        The file of keys cannot be used, or other machines could ask and nothing says that they may.
    """
    if settings.api_keys_file is not None:
        return ApiKeys.read(settings.api_keys_file)
    if settings.allow_anonymous or is_loopback(settings.host):
        return None
    raise SettingsError(
        f"Other machines can reach {settings.host}, so set KARYOMETER_API_KEYS_FILE to a file of API keys (karyometer "
        "key NAME makes them), or KARYOMETER_ALLOW_ANONYMOUS=true to let anyone measure."
    )


def new_key(name: str) -> tuple[str, str]:
    """A random key, and its line for the file of keys.

    Raises
    ------
    OptionError
        The name has characters that the file cannot hold.
    """
    if not re.fullmatch(_NAME, name):
        raise OptionError("The name of a key has 1 to 64 letters, digits, dots, hyphens and underscores.")
    key = secrets.token_urlsafe(32)
    return key, f"{name}:{sha256(key.encode()).hexdigest()}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host of this name or address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
