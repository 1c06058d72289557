"""`POST /evaluate`: an image and its ground truth in, scores out."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from app.api import answers
from app.api.admission import TicketDependency
from app.api.dependencies import SegmenterDependency, UploadWithMaskDependency, pixels_to_segment
from app.api.documentation import PROBLEMS, upload_body
from app.api.meter import Meter, MeterDependency
from app.api.schemas import EvaluateQuery, EvaluateResponse
from app.segmentation.options import SegmentationOptions
from app.segmentation.pipeline import Segmenter

router = APIRouter(tags=["measure"])


@router.post(
    "/evaluate",
    summary="Score the segmentation of an image against its ground truth",
    response_class=answers.JsonResponse,
    responses=PROBLEMS | {200: {"model": EvaluateResponse, "description": "The scores"}},
    openapi_extra=upload_body(required=("image", "mask"), raw=False),
)
async def evaluate(
    segmenter: SegmenterDependency,
    meter: MeterDependency,
    ticket: TicketDependency,
    uploads: UploadWithMaskDependency,
    options: Annotated[EvaluateQuery, Query()],
) -> answers.JsonResponse:
    """Send the image as the part `image` and the truth as the part `mask`, of the same size, PNG or TIFF.

    A binary mask (any non-zero is nucleus) is parted into connected components; in a label image each value is a
    nucleus. `mask_kind` in the answer says which was assumed. Where truth and result are both empty every score is 1.
    """
    upload, mask = uploads
    n_pixels = await pixels_to_segment(segmenter, upload.image, options)
    return await ticket.run(n_pixels, partial(_answer, meter, upload.image, mask, options, segmenter))


def _answer(
    meter: Meter, image: bytes, mask: bytes, options: SegmentationOptions, segmenter: Segmenter
) -> answers.JsonResponse:
    segmentation = segmenter.segment(image, options)
    meter.measured([segmentation])
    return answers.JsonResponse(
        answers.scores(segmenter.evaluate(segmentation, mask))
        | {
            "warnings": answers.warnings(segmentation),
            "provenance": answers.provenance(segmentation),
        }
    )
