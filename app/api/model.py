"""`GET /model` and `GET /version`: what measures here."""

from fastapi import APIRouter

from app import __version__
from app.api.dependencies import SegmenterDependency
from app.api.documentation import PROBLEMS
from app.api.schemas import Version
from app.segmentation.model_card import ModelCard

router = APIRouter(tags=["operate"])


@router.get("/model", summary="The card of the loaded model", responses={503: PROBLEMS[503]})
async def model(segmenter: SegmenterDependency) -> ModelCard:
    """Architecture, data, normalisation, thresholds, measured figures and digest."""
    return segmenter.card


@router.get("/version", summary="Which Karyometer this is")
async def version() -> Version:
    """The software's version; the model's is in `GET /model`."""
    return Version(karyometer=__version__)
