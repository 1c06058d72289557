"""`GET /metrics`: what the service did since its start, for Prometheus."""

import asyncio
import math

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.process_collector import ProcessCollector
from sqlalchemy.exc import SQLAlchemyError

from app.api.documentation import PROBLEMS
from app.engine.engine import Engine
from app.experiments.store import Store
from app.experiments.work import Work
from app.experiments.worker import Maker
from app.logs import RequestRecord

router = APIRouter(tags=["operate"])

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The counters of one app, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "karyometer_requests", "Requests answered.", ("route", "status"), registry=self.registry
        )
        self._duration = Histogram(
            "karyometer_request_duration_seconds",
            "Time from a request's headers to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._rejections = Counter(
            "karyometer_rejections", "Problems answered, by their code.", ("code",), registry=self.registry
        )
        self._stages = Histogram(
            "karyometer_stage_duration_seconds",
            "Time that a stage took for one image, or for encoding one answer.",
            ("stage",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._pixels = Counter("karyometer_pixels", "Pixels segmented.", registry=self.registry)
        self._nuclei = Counter("karyometer_nuclei", "Nuclei counted.", registry=self.registry)
        self.queued = Gauge("karyometer_queued_pixels", "Pixels that wait or are worked on.", registry=self.registry)
        self.queued_images = Gauge(
            "karyometer_queued_images",
            "Images of experiments that wait or are measured, in all services of a database; NaN while it is away.",
            registry=self.registry,
        )
        self.held = Gauge("karyometer_held_bytes", "Bytes of uploads in memory.", registry=self.registry)
        self.model = Info("karyometer_model", "The loaded model.", registry=self.registry)
        ProcessCollector(registry=self.registry)

    def answered(self, route: str, record: RequestRecord) -> None:
        """Count a request that `route`, a path's pattern, has answered."""
        self._requests.labels(route, record.status).inc()
        self._duration.labels(route).observe((record.duration_ms or 0) / 1000)
        if record.code is not None:
            self._rejections.labels(record.code).inc()

    def measured(self, n_pixels: int, n_nuclei: int) -> None:
        """Count what was segmented."""
        self._pixels.inc(n_pixels)
        self._nuclei.inc(n_nuclei)

    def staged(self, timing_ms: dict[str, float]) -> None:
        """Count what stages took."""
        for stage, duration_ms in timing_ms.items():
            self._stages.labels(stage).observe(duration_ms / 1000)


@router.get(
    "/metrics",
    summary="Counters for Prometheus",
    response_class=PlainTextResponse,
    responses={401: PROBLEMS[401]},
)
async def metrics(request: Request) -> Response:
    """Requests, durations, stages, nuclei, pixels, the queues, problems and the model, in Prometheus' text format."""
    counted: Metrics = request.app.state.metrics
    if engine := request.app.state.engine:
        card = engine.model.card
        counted.model.info({"name": card.name, "version": card.version, "sha256": card.sha256})
        if store := request.app.state.experiments.opened:
            counted.queued_images.set(await asyncio.to_thread(_queued_images, store, engine))
    if admission := request.app.state.admission:
        counted.queued.set(admission.queued_px)
        counted.held.set(admission.held_bytes)
    return Response(generate_latest(counted.registry), media_type=CONTENT_TYPE_LATEST)


def _queued_images(store: Store, engine: Engine) -> float:
    try:
        return Work(store.database, store.files).n_queued(Maker.of(engine.model))
    except SQLAlchemyError:
        return math.nan
