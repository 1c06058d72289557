"""`GET /health/live`, `GET /health/ready` and `GET /version`: what anyone may ask."""

from fastapi import APIRouter

from app import __version__
from app.api.admission import AdmissionDependency
from app.api.documentation import PROBLEMS
from app.api.schemas import Health, Version

router = APIRouter(tags=["operate"])


@router.get("/health/live", summary="Is the process alive?")
async def live() -> Health:
    """Answers as long as the event loop turns."""
    return Health(status="alive")


@router.get("/health/ready", summary="Is the model loaded and warm?", responses={503: PROBLEMS[503]})
async def ready(_: AdmissionDependency) -> Health:
    """503 until the model is loaded and warm, and again as soon as the service is about to stop."""
    return Health(status="ready")


@router.get("/version", summary="Which Karyometer this is")
async def version() -> Version:
    """The software's version; the model's is in `GET /model`."""
    return Version(karyometer=__version__)
