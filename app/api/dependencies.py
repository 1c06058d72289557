"""What routes ask for: the loaded model, and uploads of bounded size."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, NamedTuple

from fastapi import Depends, Query, Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from app.api.admission import Ticket, TicketDependency
from app.api.schemas import EvaluateQuery, SegmentQuery
from app.engine.engine import Engine
from app.errors import (
    MalformedUploadError,
    MissingPartError,
    NotReadyError,
    OptionError,
    UnknownPartError,
    UnsupportedImageError,
    UploadTooLargeError,
    UploadTooSlowError,
)
from app.options import SegmentationOptions
from app.reading.decode import tells_size_at_once

PARTS = ("image", "mask")
REPEATABLE = ("include",)
RAW_TYPES = ("image/", "application/octet-stream")
MAX_LENGTH_DIGITS = 19


async def get_engine(request: Request) -> Engine:
    """The engine that the lifespan loaded.

    Raises
    ------
    NotReadyError
        It is not loaded yet, or the service is stopping.
    """
    engine: Engine | None = request.app.state.engine
    if engine is None:
        raise NotReadyError("The model is not loaded; ask GET /health/ready and try again when it answers 200.")
    return engine


EngineDependency = Annotated[Engine, Depends(get_engine)]


async def pixels_to_segment(engine: Engine, image: bytes, options: SegmentationOptions) -> int:
    """How much work an image is; headers that may be long are read in a thread."""
    if tells_size_at_once(image):
        return engine.pixels_to_segment(image, options)
    return await asyncio.to_thread(engine.pixels_to_segment, image, options)


class Upload(NamedTuple):
    """The bytes that came in."""

    image: bytes
    filename: str | None
    mask: bytes | None


async def _read_upload(request: Request, ticket: Ticket) -> Upload:
    """Read a multipart or raw body, in memory, up to the limit; an option that is there twice is refused before.

    Raises
    ------
    OptionError
        An option that takes one value is there twice.
    UploadError
        Too large, too slow, malformed, or not the expected parts.
    BusyError
        All uploads together are too large.
    UnsupportedImageError
        Neither multipart nor an image content type.
    """
    names = [name for name, _ in request.query_params.multi_items() if name not in REPEATABLE]
    if len(set(names)) < len(names):
        raise OptionError("An option that takes one value is in the query string more than once; leave one of them.")
    seconds = request.app.state.settings.max_transfer_s
    try:
        async with asyncio.timeout(seconds):
            return await _read(request, ticket)
    except TimeoutError as exc:
        raise UploadTooSlowError(
            f"The upload took more than {seconds:g} seconds; crop or compress the image, or raise "
            "KARYOMETER_MAX_TRANSFER_S on the server."
        ) from exc


async def _read(request: Request, ticket: Ticket) -> Upload:
    content_type = request.headers.get("content-type", "").lower()
    limit = request.app.state.settings.max_upload_bytes
    if content_type.startswith("multipart/form-data"):
        return await _read_parts(request, ticket, limit)
    if content_type.startswith(RAW_TYPES):
        body = b"".join([chunk async for chunk in _limited(request, ticket, limit)])
        return Upload(body, None, None)
    raise UnsupportedImageError(
        "Send the image as the part `image` of a multipart/form-data body, or as the raw body with a content type such "
        "as image/png."
    )


# The options are asked for by what reads the body, so that wrong ones are refused before it is read.


async def segment_request(
    request: Request, ticket: TicketDependency, query: Annotated[SegmentQuery, Query()]
) -> tuple[SegmentQuery, Upload]:
    """What `POST /segment` is asked; see `_read_upload`."""
    return query, await _read_upload(request, ticket)


async def evaluate_request(
    request: Request, ticket: TicketDependency, query: Annotated[EvaluateQuery, Query()]
) -> tuple[EvaluateQuery, Upload, bytes]:
    """What `POST /evaluate` is asked, and the bytes of the mask.

    Raises
    ------
    MissingPartError
        There is no mask.
    """
    upload = await _read_upload(request, ticket)
    if upload.mask is None:
        raise MissingPartError("Send the ground truth as the part `mask` beside the part `image`.")
    return query, upload, upload.mask


SegmentRequest = Annotated[tuple[SegmentQuery, Upload], Depends(segment_request)]
EvaluateRequest = Annotated[tuple[EvaluateQuery, Upload, bytes], Depends(evaluate_request)]


async def _limited(request: Request, ticket: Ticket, limit: int) -> AsyncGenerator[bytes, None]:
    # The Content-Length may lie or be absent, so what arrives is counted too.
    claimed = request.headers.get("content-length", "0")
    error = UploadTooLargeError(
        f"The upload has more than {limit} bytes; crop or compress the image and send it again."
    )
    if len(claimed) > MAX_LENGTH_DIGITS or (claimed.isdecimal() and int(claimed) > limit):
        raise error
    n_bytes = 0
    try:
        async for chunk in request.stream():
            n_bytes += len(chunk)
            if n_bytes > limit:
                raise error
            ticket.hold(len(chunk))
            yield chunk
    except ClientDisconnect as exc:
        raise MalformedUploadError("The upload broke off; send it again.") from exc


async def _read_parts(request: Request, ticket: Ticket, limit: int) -> Upload:
    # Names are read as UTF-8, whatever charset the request claims: some decode to what JSON cannot hold.
    boundary = parse_options_header(request.headers["content-type"])[1].get(b"boundary", b"").decode("latin-1")
    headers = Headers({"content-type": f'multipart/form-data; boundary="{boundary}"'})
    parser = MultiPartParser(headers, _limited(request, ticket, limit), max_files=len(PARTS), max_fields=len(PARTS))
    # Images never touch the disk: the parser may hold in memory all that the limit lets through.
    parser.spool_max_size = limit
    try:
        form = await parser.parse()
    except MultiPartException as exc:
        raise MalformedUploadError(
            "The multipart body cannot be taken apart; send one file part named `image` and, optionally, one named "
            "`mask`, each with a filename."
        ) from exc
    try:
        return await _pick_parts(form)
    finally:
        await form.close()


async def _pick_parts(form: FormData) -> Upload:
    # Pages send a file field that was left empty all the same, as an empty text or a nameless empty file.
    parts = [(name, part) for name, part in form.multi_items() if not _left_empty(part)]
    names = [name for name, _ in parts]
    for name, part in parts:
        if name not in PARTS or names.count(name) > 1 or isinstance(part, str):
            raise UnknownPartError(
                f"The part {name!r} is not a file, not expected, or there twice; send one file part named `image` and, "
                "optionally, one named `mask`, and options in the query string."
            )
    files = {name: part for name, part in parts if isinstance(part, UploadFile)}
    if "image" not in files:
        raise MissingPartError("Send the image as the file part `image`.")
    image = files["image"]
    mask = await files["mask"].read() if "mask" in files else None
    return Upload(await image.read(), image.filename, mask)


def _left_empty(part: UploadFile | str) -> bool:
    return not part if isinstance(part, str) else not part.filename and not part.size
