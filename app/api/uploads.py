"""Bodies of requests: one file as it is, or named parts, in memory and of bounded size."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from app.api.admission import Ticket
from app.errors import (
    MalformedUploadError,
    MissingPartError,
    UnknownPartError,
    UnsupportedImageError,
    UploadTooLargeError,
    UploadTooSlowError,
)

MAX_LENGTH_DIGITS = 19


class Form(NamedTuple):
    """What a door takes.

    Attributes
    ----------
    parts
        Names of files; the first is needed, and comes alone as a raw body.
    told
        The same in words.
    raw_types
        How the content type of a raw body begins; any does where there are none.
    """

    parts: tuple[str, ...]
    told: str
    raw_types: tuple[str, ...]


class Part(NamedTuple):
    """One file of a request."""

    data: bytes
    filename: str | None


async def read_form(request: Request, ticket: Ticket, form: Form) -> dict[str, Part]:
    """Read a multipart or raw body, in memory, up to the limit.

    Raises
    ------
    UploadError
        Too large, too slow, malformed, or not the expected parts.
    BusyError
        All uploads together are too large.
    UnsupportedImageError
        Neither multipart nor a content type of the form.
    """
    async with in_time(request, form.parts[0]):
        return await _read(request, ticket, form)


async def _read(request: Request, ticket: Ticket, form: Form) -> dict[str, Part]:
    content_type = request.headers.get("content-type", "").lower()
    limit = request.app.state.settings.max_upload_bytes
    if content_type.startswith("multipart/form-data"):
        return await _read_parts(request, ticket, limit, form)
    if not form.raw_types or content_type.startswith(form.raw_types):
        body = b"".join([chunk async for chunk in limited(request, limit, form.parts[0], ticket.hold)])
        return {form.parts[0]: Part(body, None)}
    raise UnsupportedImageError(
        f"Send the {form.parts[0]} as the part `{form.parts[0]}` of a multipart/form-data body, or as the raw body "
        "with a content type such as image/png."
    )


def _ignored(_: int) -> None:
    """What goes to the disk is not held."""


async def limited(
    request: Request, limit: int, what: str = "image", hold: Callable[[int], None] = _ignored
) -> AsyncGenerator[bytes, None]:
    """The body in parts, of which each is counted by `hold`.

    Raises
    ------
    UploadTooLargeError
        It has more bytes than the limit, or says that it will; then nothing of it is read.
    MalformedUploadError
        It breaks off.
    """
    # The Content-Length may lie or be absent, so what arrives is counted too.
    error = UploadTooLargeError(
        f"The upload has more than {limit} bytes; crop or compress the {what} and send it again."
    )
    if claimed_bytes(request) > limit:
        raise error
    n_bytes = 0
    try:
        async for chunk in request.stream():
            n_bytes += len(chunk)
            if n_bytes > limit:
                raise error
            hold(len(chunk))
            yield chunk
    except ClientDisconnect as exc:
        raise MalformedUploadError("The upload broke off; send it again.") from exc


def claimed_bytes(request: Request) -> int:
    """What the Content-Length says; 0 where it says nothing that can be read."""
    claimed: str = request.headers.get("content-length", "0")
    if len(claimed) > MAX_LENGTH_DIGITS:
        return sys.maxsize
    return int(claimed) if claimed.isdecimal() else 0


@asynccontextmanager
async def in_time(request: Request, what: str = "image") -> AsyncIterator[None]:
    """Where an upload is read.

    Raises
    ------
    UploadTooSlowError
        It has not all come within the time limit.
    """
    seconds = request.app.state.settings.max_transfer_s
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as exc:
        raise UploadTooSlowError(
            f"The upload took more than {seconds:g} seconds; crop or compress the {what}, or raise "
            "KARYOMETER_MAX_TRANSFER_S on the server."
        ) from exc


def multipart_headers(request: Request) -> Headers:
    """What a parser must know of a multipart body: its boundary, and nothing else.

    Names are read as UTF-8, whatever charset the request claims: some decode to what JSON cannot hold.
    """
    boundary = parse_options_header(request.headers["content-type"])[1].get(b"boundary", b"").decode("latin-1")
    return Headers({"content-type": f'multipart/form-data; boundary="{boundary}"'})


async def _read_parts(request: Request, ticket: Ticket, limit: int, form: Form) -> dict[str, Part]:
    n_parts = len(form.parts)
    body = limited(request, limit, form.parts[0], ticket.hold)
    parser = MultiPartParser(multipart_headers(request), body, max_files=n_parts, max_fields=n_parts)
    # Uploads never touch the disk: the parser may hold in memory all that the limit lets through.
    parser.spool_max_size = limit
    try:
        parsed = await parser.parse()
    except MultiPartException as exc:
        raise MalformedUploadError(
            f"The multipart body cannot be taken apart; send {form.told}, each with a filename."
        ) from exc
    try:
        return await _pick_parts(parsed, form)
    finally:
        await parsed.close()


async def _pick_parts(parsed: FormData, form: Form) -> dict[str, Part]:
    # Pages send a file field that was left empty all the same, as an empty text or a nameless empty file.
    parts = [(name, part) for name, part in parsed.multi_items() if not _left_empty(part)]
    names = [name for name, _ in parts]
    files = {}
    for name, part in parts:
        if name not in form.parts or names.count(name) > 1 or isinstance(part, str):
            raise UnknownPartError(
                f"The part {name!r} is not a file, not expected, or there twice; send {form.told}, and options in the "
                "query string."
            )
        files[name] = Part(await part.read(), part.filename)
    if form.parts[0] not in files:
        raise MissingPartError(f"Send the {form.parts[0]} as the file part `{form.parts[0]}`.")
    return files


def _left_empty(part: UploadFile | str) -> bool:
    return not part if isinstance(part, str) else not part.filename and not part.size
