"""`POST /segment`: an image in; a mask, a count and a table out."""

import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from app.api import answers
from app.api.admission import TicketDependency
from app.api.dependencies import StreamerDependency, Upload, UploadDependency, pixels_to_segment
from app.api.documentation import PROBLEMS, upload_body
from app.api.meter import Meter, MeterDependency
from app.api.schemas import MEDIA_TYPES, Format, SegmentQuery, SegmentResponse, StackResponse
from app.errors import OptionError
from app.segmentation.formats import encode
from app.segmentation.model_card import ModelCard
from app.segmentation.pipeline import Segmentation
from app.segmentation.stream import Streamer, room_needed
from app.segmentation.write import streamed_format

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
    streamer: StreamerDependency,
    meter: MeterDependency,
    ticket: TicketDependency,
    upload: UploadDependency,
    query: Annotated[SegmentQuery, Query()],
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> Response:
    """Send a microscope image as the part `image`, or as the raw body.

    Coordinates and areas are at the image's own size. With a ground-truth `mask` beside the image the JSON answer holds
    the scores of `POST /evaluate` too.
    """
    n_pixels = await pixels_to_segment(streamer, upload.image, query)
    return await ticket.run(n_pixels, partial(_answer, meter, upload, query, streamer, accept))


def _answer(meter: Meter, upload: Upload, query: SegmentQuery, streamer: Streamer, accept: str) -> Response:
    file_format = query.format or preferred_format(accept)
    if upload.mask is not None and (file_format != "json" or query.page == "all"):
        raise OptionError("The scores of a mask come as JSON, for one page; ask for that, or leave the mask out.")
    if streamer.takes(upload.image):
        return _streamed(meter, upload, query, streamer, file_format)
    segmenter = streamer.segmenter
    pages = segmenter.segment_pages(upload.image, query, upload.filename)
    meter.measured(pages)
    count = sum(page.count for page in pages)
    headers = _headers(count, segmenter.card)
    if file_format != "json":
        start = time.perf_counter()
        content = encode(pages, file_format)
        meter.encoded(start)
        return Response(content, 200, headers, MEDIA_TYPES[file_format])
    evaluation = None if upload.mask is None else answers.scores(segmenter.evaluate(pages[0], upload.mask))
    bodies = [_body(meter, upload, page, query) | {"evaluation": evaluation} for page in pages]
    return answers.JsonResponse(
        {"count": count, "pages": bodies} if query.page == "all" else bodies[0], headers=headers
    )


def _headers(count: int, card: ModelCard) -> dict[str, str]:
    return {"X-Nucleus-Count": str(count), "X-Model": f"{card.name}/{card.version}"}


def _streamed(
    meter: Meter, upload: Upload, query: SegmentQuery, streamer: Streamer, file_format: Format
) -> StreamingResponse:
    """The answer of an image that is too large for the memory, as its file is."""
    write = streamed_format(file_format)
    with room_needed(), TemporaryDirectory(prefix="karyometer-") as name:
        folder = Path(name)
        (folder / "image").write_bytes(upload.image)
        (folder / "scratch").mkdir()
        found = streamer.segment(folder / "image", query, folder / "scratch", upload.filename)
        meter.measured([found])
        start = time.perf_counter()
        write(found, folder / "answer")
        meter.encoded(start)
        headers = _headers(found.count, found.card) | {"Content-Length": str((folder / "answer").stat().st_size)}
        # It can be read as long as it is open, though its folder is gone.
        answer = (folder / "answer").open("rb")
    return StreamingResponse(_chunks(answer), 200, headers, MEDIA_TYPES[file_format])


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _body(meter: Meter, upload: Upload, segmentation: Segmentation, query: SegmentQuery) -> dict[str, Any]:
    start = time.perf_counter()
    body: dict[str, Any] = {
        "count": segmentation.count,
        "image": answers.image_info(upload, segmentation),
        **{name: answers.included(segmentation, name) for name in query.include},
        "summary": segmentation.summary,
        "warnings": answers.warnings(segmentation),
    }
    return body | {"provenance": answers.provenance(segmentation, encode=meter.encoded(start))}


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
