"""`GET /model`: what measures here."""

from fastapi import APIRouter

from app.api.dependencies import SegmenterDependency
from app.api.documentation import PROBLEMS
from app.segmentation.model_card import ModelCard

router = APIRouter(tags=["operate"])


@router.get(
    "/model", summary="The card of the loaded model", responses={status: PROBLEMS[status] for status in (401, 503)}
)
async def model(segmenter: SegmenterDependency) -> ModelCard:
    """Architecture, data, normalisation, thresholds, measured figures and digest."""
    return segmenter.card
