"""What routes ask for: the loaded model, and uploads of bounded size."""

import asyncio
from typing import Annotated, NamedTuple

from fastapi import Depends, Query, Request

from app.api.admission import Ticket, TicketDependency
from app.api.query_schemas import EvaluateQuery, MeasureQuery, SegmentQuery
from app.api.uploads import Form, read_form
from app.engine.engine import Engine
from app.errors import MissingPartError, NotReadyError
from app.options import SegmentationOptions
from app.reading.decode import tells_size_at_once

IMAGE_FORM = Form(
    ("image", "mask"),
    "one file part named `image` and, optionally, one named `mask`",
    ("image/", "application/octet-stream"),
)


LABELS_FORM = Form(("image", "labels"), "one file part named `image` and one named `labels`", IMAGE_FORM.raw_types)


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


async def _read_upload(request: Request, ticket: Ticket, form: Form = IMAGE_FORM) -> Upload:
    """The image of a form, and its second part, which is a mask."""
    parts = await read_form(request, ticket, form)
    image, mask = parts["image"], parts.get(form.parts[1])
    return Upload(image.data, image.filename, mask and mask.data)


async def _read_both(request: Request, ticket: Ticket, form: Form, what: str) -> tuple[Upload, bytes]:
    """The same where the second part is needed too; `what` it is in words."""
    upload = await _read_upload(request, ticket, form)
    if upload.mask is None:
        raise MissingPartError(f"Send the {what} as the part `{form.parts[1]}` beside the part `image`.")
    return upload, upload.mask


# The options are asked for by what reads the body, so that wrong ones are refused before it is read.


async def segment_request(
    request: Request, ticket: TicketDependency, query: Annotated[SegmentQuery, Query()]
) -> tuple[SegmentQuery, Upload]:
    """What `POST /segment` is asked; see `uploads.read_form`."""
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
    return query, *await _read_both(request, ticket, IMAGE_FORM, "ground truth")


async def measure_request(
    request: Request, ticket: TicketDependency, query: Annotated[MeasureQuery, Query()]
) -> tuple[MeasureQuery, Upload, bytes]:
    """What `POST /measure` is asked, and the bytes of the labels.

    Raises
    ------
    MissingPartError
        There are no labels.
    """
    return query, *await _read_both(request, ticket, LABELS_FORM, "label image")


SegmentRequest = Annotated[tuple[SegmentQuery, Upload], Depends(segment_request)]
EvaluateRequest = Annotated[tuple[EvaluateQuery, Upload, bytes], Depends(evaluate_request)]
MeasureRequest = Annotated[tuple[MeasureQuery, Upload, bytes], Depends(measure_request)]
