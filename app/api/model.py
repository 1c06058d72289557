"""`GET /model`: what measures here."""

from fastapi import APIRouter

from app.api.dependencies import EngineDependency
from app.api.documentation import PROBLEMS
from app.inference.model_card import ModelCard

router = APIRouter(tags=["operate"])


@router.get(
    "/model", summary="The card of the loaded model", responses={status: PROBLEMS[status] for status in (401, 503)}
)
async def model(engine: EngineDependency) -> ModelCard:
    """Architecture, data, normalisation, thresholds, measured figures and digest."""
    return engine.model.card
