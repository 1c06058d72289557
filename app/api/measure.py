"""`POST /measure`: an image and its nuclei in, as labels; the same answers as of `POST /segment` out."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Response

from app.api import answers
from app.api.admission import TicketDependency
from app.api.dependencies import EngineDependency, MeasureRequest, Upload, pixels_to_segment
from app.api.documentation import PROBLEMS, result_responses, upload_body
from app.api.meter import Meter, MeterDependency
from app.api.query_schemas import MEDIA_TYPES, MeasureQuery
from app.api.schemas import SegmentResponse
from app.engine.engine import Engine
from app.engine.result import Result

router = APIRouter(tags=["measure"])


@router.post(
    "/measure",
    summary="Count and measure nuclei that are known",
    response_class=answers.JsonResponse,
    responses=PROBLEMS | result_responses(SegmentResponse),
    openapi_extra=upload_body(required=("image", "labels"), raw=False),
)
async def measure(
    engine: EngineDependency,
    meter: MeterDependency,
    ticket: TicketDependency,
    asked: MeasureRequest,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> Response:
    """Send the image as the part `image` and its nuclei as the part `labels`: a label image of the same size.

    Labels are read as the mask of `POST /evaluate` is: 0 is background, and each 8-connected piece of equal value is a
    nucleus, so that a value in two pieces is two nuclei (`mask_values_reused` tells so). The nuclei of the answer are
    numbered anew, row by row; `include=labels` or `format=labels` has them with these numbers. No model takes part: the
    `confidence` is null. `corrected=true` says that people corrected the labels of a model, which is kept with the
    result.
    """
    query, upload, labels = asked
    n_pixels = await pixels_to_segment(engine, upload.image, query.options)
    with meter.charged(n_pixels):
        return await ticket.run(n_pixels, partial(_answer, meter, upload, labels, query, engine, accept))


def _answer(meter: Meter, upload: Upload, labels: bytes, query: MeasureQuery, engine: Engine, accept: str) -> Response:
    truth = engine.read_labels(labels)
    card = engine.model.card
    corrected_from = query.corrected_from or (f"{card.name}/{card.version}" if query.corrected else None)
    plane = engine.measure(upload.image, truth.labels, query.options, upload.filename, corrected_from=corrected_from)
    result = Result((plane,))
    meter.measured(result)
    file_format = query.format or answers.preferred_format(accept, MEDIA_TYPES)
    return answers.result_answer(meter, result, upload.image, file_format, query.include, truth.warnings)
