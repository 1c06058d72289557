"""`POST /segment`: an image in; a mask, a count and a table out."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Response

from app.api import answers
from app.api.admission import TicketDependency
from app.api.dependencies import EngineDependency, SegmentRequest, Upload, pixels_to_segment
from app.api.documentation import PROBLEMS, result_responses, upload_body
from app.api.meter import Meter, MeterDependency
from app.api.query_schemas import MEDIA_TYPES, SegmentQuery
from app.api.schemas import SegmentResponse, StackResponse
from app.engine.engine import Engine
from app.errors import OptionError
from app.export.formats import needs_whole

router = APIRouter(tags=["measure"])


@router.post(
    "/segment",
    summary="Find, count and measure the nuclei of an image",
    response_class=answers.JsonResponse,
    responses=PROBLEMS | result_responses(SegmentResponse | StackResponse),
    openapi_extra=upload_body(required=("image",), optional=("mask",)),
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
    file_format = query.format or answers.preferred_format(accept, MEDIA_TYPES)
    if upload.mask is not None and (file_format != "json" or query.page == "all"):
        raise OptionError("The scores of a mask come as JSON, for one page; ask for that, or leave the mask out.")
    parts = [name for name in query.include if name != "matches"]
    with_matches = len(parts) < len(query.include)
    if with_matches and upload.mask is None:
        raise OptionError("matches are those with a ground truth; send it as the part mask, or leave matches out.")
    with engine.segment(upload.image, query, upload.filename, needs_whole([file_format])) as result:
        meter.measured(result)
        if upload.mask is None:
            return answers.result_answer(meter, result, upload.image, file_format, parts)
        evaluation = engine.evaluate(result, upload.mask)
        scores = answers.scores(result.planes[0], evaluation, with_matches=with_matches)
        return answers.result_answer(meter, result, upload.image, file_format, parts, evaluation.mask_warnings, scores)
