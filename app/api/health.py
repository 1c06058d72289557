"""`GET /health/live` and `GET /health/ready`."""

from fastapi import APIRouter

from app.api.admission import AdmissionDependency
from app.api.dependencies import SegmenterDependency
from app.api.documentation import PROBLEMS
from app.api.schemas import Health

router = APIRouter(prefix="/health", tags=["operate"])


@router.get("/live", summary="Is the process alive?")
async def live() -> Health:
    """Answers as long as the event loop turns."""
    return Health(status="alive")


@router.get("/ready", summary="Is the model loaded and warm?", responses={503: PROBLEMS[503]})
async def ready(_: AdmissionDependency, __: SegmenterDependency) -> Health:
    """503 until the model is loaded and warm, and again as soon as the service is about to stop."""
    return Health(status="ready")
