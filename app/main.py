"""Builds the web application; its lifespan owns the model."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI, Request
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import __version__
from app.api import (
    documentation,
    effects,
    evaluate,
    experiment_effects,
    experiment_results,
    experiment_uploads,
    experiments,
    health,
    measure,
    metrics,
    middleware,
    model,
    previews,
    problems,
    segment,
)
from app.api.admission import Admission
from app.api.experiment_state import Experiments
from app.api.keys import required_keys
from app.api.meter import Quota
from app.api.preview_store import PreviewStore
from app.api.query import known_options
from app.batch import told
from app.engine.engine import Engine
from app.errors import ModelError, SettingsError
from app.machine import available_cores
from app.memory import give_back_freed_memory
from app.settings import Settings
from app.start import open_engine

if TYPE_CHECKING:
    from app.experiments.cluster import Cluster

# Decoding is fast against segmenting, and each takes memory.
MOST_DECODERS = 8
_WEB = Path(__file__).with_name("web")


def create_app(
    settings: Settings | None = None,
    engine: Engine | None = None,
    start_cluster: "Callable[[], Cluster] | None" = None,
) -> FastAPI:
    """The service.

    Parameters
    ----------
    settings
        Read from the environment if not given.
    engine
        A ready one, for tests; else the lifespan loads the model that the settings name.
    start_cluster
        Makes the workers of experiments, for tests; else as the settings say.

    Raises
    ------
    SettingsError
        The environment asks for something impossible.
    """
    settings = settings or Settings.from_environment()
    keys = required_keys(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as held:
            app.state.engine = engine or await _load(app, settings, held)
            app.state.admission = Admission(settings, available_cores(), partial(_release_memory, app.state.engine))
            held.callback(app.state.admission.close)
            app.state.experiments = Experiments(settings, start_cluster)
            held.callback(app.state.experiments.close)
            if app.state.experiments.are_there:
                await _go_on(app)
            held.callback(app.state.previews.store.close)
            sweeping = asyncio.create_task(app.state.previews.store.sweep_on())
            held.callback(sweeping.cancel)
            yield
            app.state.engine = app.state.admission = None

    app: FastAPI = FastAPIOffline(
        title="Karyometer",
        version=__version__,
        description="Counts and measures cell nuclei in microscope images.",
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.engine = None
    app.state.admission = None
    app.state.metrics = metrics.Metrics()
    app.state.previews = previews.Previews(PreviewStore(settings.max_preview_bytes, settings.keep_preview_s))
    app.state.quota = Quota(settings.pixels_per_minute)
    app.add_middleware(_OneSentenceRefusal)
    only_loopback = keys is None and not settings.allow_anonymous
    middleware.install(app, settings.cors_origins, app.state.metrics, only_loopback=only_loopback)
    problems.install(app)
    measuring = (segment.router, measure.router, evaluate.router, effects.router)
    of_experiments = (
        experiments.router,
        experiment_uploads.router,
        experiment_results.router,
        experiment_effects.router,
    )
    for router in (*measuring, previews.router, *of_experiments, model.router, metrics.router):
        app.include_router(router, dependencies=[*([Depends(keys)] if keys else []), Depends(known_options)])
    app.include_router(health.router)

    documentation.describe_by_example(app)
    app.add_route("/", _page, include_in_schema=False)
    # They are fetched once, so that what is squeezed out counts for more than the time it takes.
    app.mount("/web", GZipMiddleware(StaticFiles(directory=_WEB), compresslevel=6))
    return app


async def _load(app: FastAPI, settings: Settings, held: ExitStack) -> Engine:
    n_decoders = min(available_cores(), MOST_DECODERS)
    try:
        return await asyncio.to_thread(held.enter_context, open_engine(settings, n_decoders))
    except (ModelError, SettingsError) as exc:
        app.state.refusal = told(exc)
        raise


async def _go_on(app: FastAPI) -> None:
    """Go on with experiments that were begun earlier."""
    try:
        await asyncio.to_thread(app.state.experiments.open, app.state.engine)
    except SettingsError as exc:
        app.state.refusal = told(exc)
        raise


def _release_memory(engine: Engine) -> None:
    engine.release_memory()
    give_back_freed_memory()


async def _page(_: Request) -> FileResponse:
    return FileResponse(_WEB / "index.html")


class _OneSentenceRefusal:
    """A model that cannot be used stops the start with its one sentence instead of a stack trace."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_sentence(message: Message) -> None:
            refusal = getattr(scope["app"].state, "refusal", None)
            if message["type"] == "lifespan.startup.failed" and refusal:
                message = {**message, "message": refusal}
            await send(message)

        await self._app(scope, receive, send_sentence if scope["type"] == "lifespan" else send)
