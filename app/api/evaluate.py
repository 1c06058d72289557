"""`POST /evaluate`: an image and its ground truth in, scores out."""

from functools import partial

from fastapi import APIRouter

from app.api import answers
from app.api.admission import TicketDependency
from app.api.dependencies import EngineDependency, EvaluateRequest, pixels_to_segment
from app.api.documentation import PROBLEMS, upload_body
from app.api.meter import Meter, MeterDependency
from app.api.query_schemas import EvaluateQuery
from app.api.schemas import EvaluateResponse
from app.engine.engine import Engine

router = APIRouter(tags=["measure"])


@router.post(
    "/evaluate",
    summary="Score the segmentation of an image against its ground truth",
    response_class=answers.JsonResponse,
    responses=PROBLEMS | {200: {"model": EvaluateResponse, "description": "The scores"}},
    openapi_extra=upload_body(required=("image", "mask"), raw=False),
)
async def evaluate(
    engine: EngineDependency,
    meter: MeterDependency,
    ticket: TicketDependency,
    asked: EvaluateRequest,
) -> answers.JsonResponse:
    """Send the image as the part `image` and the truth as the part `mask`, of the same size, PNG or TIFF.

    In a binary mask, whose edges may be smooth, nuclei are the connected components; in a label or colour image they
    are those of equal value. `mask_kind` in the answer says which was assumed, and `warnings` what else was. Where
    truth and result are both empty every score is 1.
    """
    query, upload, mask = asked
    n_pixels = await pixels_to_segment(engine, upload.image, query)
    with meter.charged(n_pixels):
        return await ticket.run(n_pixels, partial(_answer, meter, upload.image, mask, query, engine))


def _answer(meter: Meter, image: bytes, mask: bytes, query: EvaluateQuery, engine: Engine) -> answers.JsonResponse:
    result = engine.segment(image, query, whole_for=["score"])
    meter.measured(result)
    plane = result.planes[0]
    evaluation = engine.evaluate(result, mask)
    return answers.JsonResponse(
        answers.scores(plane, evaluation, with_matches="matches" in query.include)
        | {"warnings": answers.warnings(plane, evaluation.mask_warnings), "provenance": answers.provenance(plane)}
    )
