"""Builds the web application; its lifespan owns the model."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial

from fastapi import Depends, FastAPI, Request
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import __version__
from app.api import evaluate, health, metrics, middleware, model, problems, segment
from app.api.admission import Admission
from app.api.keys import required_keys
from app.api.meter import Quota
from app.errors import ModelError, SettingsError
from app.isolation import DecodeProcesses
from app.memory import give_back_freed_memory
from app.segmentation.pipeline import Segmenter
from app.segmentation.stream import Streamer
from app.settings import Settings

# Decoding is fast against segmenting, and each takes memory.
MOST_DECODERS = 8


def create_app(settings: Settings | None = None, segmenter: Segmenter | None = None) -> FastAPI:
    """The service.

    Parameters
    ----------
    settings
        Read from the environment if not given.
    segmenter
        A ready model, for tests; else the lifespan loads the one that the settings name.

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
            app.state.segmenter = segmenter or await _load(app, settings, held)
            app.state.streamer = Streamer(app.state.segmenter, settings.max_streamed_pixels, settings.max_stream_bytes)
            app.state.admission = Admission(settings, os.cpu_count() or 1, partial(_rest, app.state.segmenter))
            held.callback(app.state.admission.close)
            yield
            app.state.segmenter = app.state.streamer = app.state.admission = None

    app: FastAPI = FastAPIOffline(
        title="Karyometer",
        version=__version__,
        description="Counts and measures cell nuclei in microscope images.",
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.segmenter = None
    app.state.streamer = None
    app.state.admission = None
    app.state.metrics = metrics.Metrics()
    app.state.quota = Quota(settings.pixels_per_minute)
    app.add_middleware(_OneSentenceRefusal)
    middleware.install(app, settings.cors_origins, app.state.metrics)
    problems.install(app)
    for router in (segment.router, evaluate.router, model.router, metrics.router):
        app.include_router(router, dependencies=[Depends(keys)] if keys else [])
    app.include_router(health.router)

    app.add_route("/", _to_documentation, include_in_schema=False)
    return app


async def _load(app: FastAPI, settings: Settings, held: ExitStack) -> Segmenter:
    try:
        n_decoders = min(os.cpu_count() or 1, MOST_DECODERS)
        decoders = DecodeProcesses(n_decoders, settings.max_decode_bytes, settings.max_decode_s)
        held.callback(decoders.close)
        return await asyncio.to_thread(
            partial(Segmenter.load, settings.model, settings.device, settings.max_pixels, call=decoders.call)
        )
    except (ModelError, SettingsError) as exc:
        app.state.refusal = str(exc)
        raise


def _rest(segmenter: Segmenter) -> None:
    segmenter.predictor.rest()
    give_back_freed_memory()


async def _to_documentation(_: Request) -> RedirectResponse:
    return RedirectResponse("docs")


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
