"""`POST /segment`: an image in; a mask, a count and a table out."""

import hashlib
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Header, Response
from fastapi.responses import StreamingResponse

from app.api import answers
from app.api.admission import TicketDependency
from app.api.dependencies import EngineDependency, SegmentRequest, Upload, pixels_to_segment
from app.api.documentation import PROBLEMS, upload_body
from app.api.meter import Meter, MeterDependency
from app.api.schemas import MEDIA_TYPES, Format, SegmentQuery, SegmentResponse, StackResponse
from app.engine.engine import Engine
from app.engine.result import Evaluation, PlaneResult, Result
from app.errors import OptionError
from app.export.description import image_info
from app.export.formats import FileFormat, encode, needs_whole, write
from app.reading.memmap import disk_full_told

router = APIRouter(tags=["measure"])

_FILES = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES.values()}
_CHUNK_BYTES = 2**20
_HEADERS = {
    "X-Nucleus-Count": {"description": "number of nuclei", "schema": {"type": "integer"}},
    "X-Model": {"description": "name/version of the model", "schema": {"type": "string"}},
}


@router.post(
    "/segment",
    summary="Find, count and measure the nuclei of an image",
    response_class=answers.JsonResponse,
    responses=PROBLEMS
    | {
        200: {
            "model": SegmentResponse | StackResponse,
            "description": "The nuclei, in the format asked for; a count of 0 is a result too",
            "content": {name: content for name, content in _FILES.items() if name != "application/json"},
            "headers": _HEADERS,
        }
    },
    openapi_extra=upload_body(required=("image",)),
)
async def segment(
    engine: EngineDependency,
    meter: MeterDependency,
    ticket: TicketDependency,
    asked: SegmentRequest,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> Response:
    """Send a microscope image as the part `image`, or as the raw body.

    Coordinates and areas are at the image's own size. With a ground-truth `mask` beside the image the JSON answer holds
    the scores of `POST /evaluate` too.
    """
    query, upload = asked
    n_pixels = await pixels_to_segment(engine, upload.image, query)
    with meter.charged(n_pixels):
        return await ticket.run(n_pixels, partial(_answer, meter, upload, query, engine, accept))


def _answer(meter: Meter, upload: Upload, query: SegmentQuery, engine: Engine, accept: str) -> Response:
    file_format = query.format or preferred_format(accept)
    if upload.mask is not None and (file_format != "json" or query.page == "all"):
        raise OptionError("The scores of a mask come as JSON, for one page; ask for that, or leave the mask out.")
    with engine.segment(upload.image, query, upload.filename, needs_whole([file_format])) as result:
        meter.measured(result)
        card = engine.model.card
        headers = {"X-Nucleus-Count": str(result.count), "X-Model": f"{card.name}/{card.version}"}
        if file_format != "json":
            return _file(meter, result, file_format, headers)
        evaluation = None if upload.mask is None else engine.evaluate(result, upload.mask)
        bodies = [_body(meter, upload, plane, query, evaluation) for plane in result.planes]
        body = {"count": result.count, "pages": bodies} if result.is_stack else bodies[0]
        return answers.JsonResponse(body, headers=headers)


def _file(meter: Meter, result: Result, file_format: FileFormat, headers: dict[str, str]) -> Response:
    """The result as a file, from the memory or, as large ones are, from the disk."""
    start = time.perf_counter()
    media_type = MEDIA_TYPES[file_format]
    if result.planes[0].is_in_memory:
        content = encode(result, file_format)
        meter.encoded(start)
        return Response(content, 200, headers, media_type)
    with disk_full_told(), TemporaryDirectory(prefix="karyometer-") as folder:
        path = Path(folder, "answer")
        with path.open("wb") as file:
            write(result, file_format, file)
        meter.encoded(start)
        headers |= {"Content-Length": str(path.stat().st_size)}
        # It can be read as long as it is open, though its folder is gone.
        return StreamingResponse(_chunks(path.open("rb")), 200, headers, media_type)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _body(
    meter: Meter, upload: Upload, plane: PlaneResult, query: SegmentQuery, evaluation: Evaluation | None
) -> dict[str, Any]:
    start = time.perf_counter()
    body: dict[str, Any] = {
        "count": plane.count,
        "image": image_info(plane, hashlib.sha256(upload.image).hexdigest()),
        **{name: answers.included(plane, name) for name in query.include},
        "summary": plane.summary,
        "warnings": answers.warnings(plane, evaluation),
        "evaluation": None if evaluation is None else answers.scores(evaluation),
    }
    return body | {"provenance": answers.provenance(plane, encode=meter.encoded(start))}


def preferred_format(accept: str) -> Format:
    """The format that an Accept header likes best (RFC 9110, 12.5.1); JSON first among equals, and where it likes none.

    Examples
    --------
    >>> preferred_format("text/html, image/tiff;q=0.8, */*;q=0.1")
    'labels'
    """
    weights: dict[str, float] = {}
    for media_range in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in media_range.split(";"))
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        weights[media_type] = float(quality) if re.fullmatch(r"[01](\.\d{0,3})?", quality) else 0

    def weight(media_type: str) -> float:
        ranges = (media_type, media_type.partition("/")[0] + "/*", "*/*")
        return next((weights[media_range] for media_range in ranges if media_range in weights), 0)

    best = max(MEDIA_TYPES, key=lambda name: weight(MEDIA_TYPES[name]))
    return best if weight(MEDIA_TYPES[best]) > 0 else "json"
