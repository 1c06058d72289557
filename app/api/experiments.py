"""Experiments over HTTP: made, understood, closed, followed, deleted."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.api.admission import AdmissionDependency
from app.api.dependencies import EngineDependency
from app.api.documentation import PROBLEMS
from app.api.experiment_schemas import (
    ExclusionBody,
    ExclusionList,
    ExperimentList,
    ExperimentStatus,
    NewExperiment,
    Retried,
)
from app.api.experiment_state import MineDependency, OwnerDependency, StoreDependency, status_of
from app.api.uploads import in_time, limited
from app.errors import ChannelNeededError, KaryometerError, NoSuchError, OptionError
from app.experiments.layouts.layout import read_layout
from app.experiments.layouts.written import write_layout
from app.experiments.plan import layout_of, plan
from app.experiments.worker import Maker

router = APIRouter(prefix="/experiments", tags=["experiments"])

_MAX_LAYOUT_BYTES = 20 * 2**20
_TURN_S = 1.0
_ALIVE_S = 15.0


@router.post(
    "",
    status_code=201,
    summary="Make an experiment",
    response_model=ExperimentStatus,
    responses=PROBLEMS
    | {200: {"model": ExperimentStatus, "description": "It was made before, with this Idempotency-Key"}},
)
def make(
    body: NewExperiment,
    response: Response,
    engine: EngineDependency,
    store: StoreDependency,
    owner: OwnerDependency,
    start: Annotated[Literal["now", "manual"], Query(description="whether images are measured as they come")] = "now",
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> dict[str, Any]:
    """All its images are measured with these options, and with the model and version of now."""
    if body.options.page == "all":
        raise OptionError("An experiment measures one page of each image; choose it with page, or give page=max.")
    experiment_id, is_new = store.create(
        owner,
        body.name,
        body.options,
        Maker.of(engine.model),
        nuclear_channel=body.nuclear_channel,
        is_started=start == "now",
        idempotency_key=idempotency_key,
    )
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/experiments/{experiment_id}"
    return status_of(store, store.experiment(experiment_id), engine)


@router.get("", summary="Your experiments, the newest first", response_model=ExperimentList, responses=PROBLEMS)
def listed(
    engine: EngineDependency,
    store: StoreDependency,
    owner: OwnerDependency,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> dict[str, Any]:
    """Those that your API key has made; without keys, everybody's."""
    return {"experiments": [status_of(store, one, engine) for one in store.all_of(owner, limit, offset)]}


@router.get("/{experiment_id}", summary="How far it is", response_model=ExperimentStatus, responses=PROBLEMS)
def status(mine: MineDependency, store: StoreDependency, engine: EngineDependency) -> dict[str, Any]:
    """Its state, its images by their state, and what was understood of its files."""
    return status_of(store, mine, engine)


@router.get(
    "/{experiment_id}/events",
    summary="Follow it",
    response_class=StreamingResponse,
    responses=PROBLEMS | {200: {"content": {"text/event-stream": {}}}},
)
async def events(
    mine: MineDependency, store: StoreDependency, engine: EngineDependency, admission: AdmissionDependency
) -> StreamingResponse:
    """Server-sent events `progress`, each with what `GET /experiments/{id}` answers; the stream ends with the work."""

    async def told() -> AsyncIterator[bytes]:
        last, silent_s = b"", 0.0
        while not admission.draining:
            try:
                now = await asyncio.to_thread(lambda: status_of(store, store.experiment(mine.id), engine))
            except KaryometerError:
                # Deleted meanwhile.
                return
            said = orjson.dumps(now)
            if said != last:
                last, silent_s = said, 0.0
                yield b"event: progress\ndata: " + said + b"\n\n"
            elif silent_s >= _ALIVE_S:
                silent_s = 0.0
                yield b": alive\n\n"
            if now["state"] in ("done", "done_with_errors", "cancelled"):
                return
            await asyncio.sleep(_TURN_S)
            silent_s += _TURN_S

    return StreamingResponse(told(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.put(
    "/{experiment_id}/layout",
    summary="Say what each well got",
    response_model=ExperimentStatus,
    responses=PROBLEMS,
    openapi_extra={"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def put_layout(
    request: Request,
    mine: MineDependency,
    store: StoreDependency,
    engine: EngineDependency,
    filename: Annotated[str | None, Query(max_length=255, description="for messages")] = None,
    dose_unit: Annotated[str | None, Query(max_length=20, description="of doses that have none")] = None,
) -> dict[str, Any]:
    """A plate map as CSV or TSV; before, between or after the images, and again."""
    async with in_time(request):
        data = b"".join([chunk async for chunk in limited(request, _MAX_LAYOUT_BYTES)])

    def kept() -> dict[str, Any]:
        read_layout(data, filename, dose_unit)
        store.set_layout(mine.id, store.files.add(data), filename, dose_unit)
        return status_of(store, plan(store, mine.id), engine)

    return await asyncio.to_thread(kept)


@router.get(
    "/{experiment_id}/layout",
    summary="What each well got",
    response_class=Response,
    responses=PROBLEMS | {200: {"content": {"text/csv": {}}}},
)
def get_layout(mine: MineDependency, store: StoreDependency) -> Response:
    """The layout as it was understood, in our own format, whatever it was sent in.

    Raises
    ------
    NoSuchError
        It has none.
    """
    layout = layout_of(store, mine)
    if layout is None:
        raise NoSuchError("The experiment has no layout; PUT one.")
    headers = {"Content-Disposition": 'attachment; filename="layout.csv"'}
    return Response(write_layout(layout), media_type="text/csv", headers=headers)


@router.put(
    "/{experiment_id}/nuclear_channel",
    summary="Say which channel shows the nuclei",
    response_model=ExperimentStatus,
    responses=PROBLEMS,
)
def put_nuclear_channel(
    mine: MineDependency,
    store: StoreDependency,
    engine: EngineDependency,
    name: Annotated[str, Query(min_length=1, max_length=255, description="as file names call it")],
) -> dict[str, Any]:
    """At any time, and again; the answer says what its files are taken for then."""
    store.set_nuclear_channel(mine.id, name)
    return status_of(store, plan(store, mine.id), engine)


@router.post("/{experiment_id}/close", summary="No more images", response_model=ExperimentStatus, responses=PROBLEMS)
def close(
    mine: MineDependency,
    store: StoreDependency,
    engine: EngineDependency,
    expected: Annotated[int | None, Query(ge=0, le=10**9, description="refuse where there are not so many")] = None,
    nuclear_channel: Annotated[str | None, Query(max_length=255)] = None,
) -> dict[str, Any]:
    """What the files are is understood now at the latest: what forbids that is told, and it stays open."""
    if nuclear_channel is not None:
        store.set_nuclear_channel(mine.id, nuclear_channel)
    planned = plan(store, mine.id)
    if planned.problem and planned.problem["code"] == ChannelNeededError.code:
        raise ChannelNeededError(planned.problem["message"])
    store.close(mine.id, expected)
    return status_of(store, plan(store, mine.id), engine)


@router.post("/{experiment_id}/start", summary="Begin to measure", response_model=ExperimentStatus, responses=PROBLEMS)
def start(mine: MineDependency, store: StoreDependency, engine: EngineDependency) -> dict[str, Any]:
    """For experiments that were made with `start=manual`."""
    store.start(mine.id)
    return status_of(store, store.experiment(mine.id), engine)


@router.post("/{experiment_id}/cancel", summary="Measure no more", response_model=ExperimentStatus, responses=PROBLEMS)
def cancel(mine: MineDependency, store: StoreDependency, engine: EngineDependency) -> dict[str, Any]:
    """What is measured stays."""
    store.cancel(mine.id)
    return status_of(store, store.experiment(mine.id), engine)


@router.post(
    "/{experiment_id}/retry", summary="Measure failed images again", response_model=Retried, responses=PROBLEMS
)
def retry(mine: MineDependency, store: StoreDependency) -> dict[str, int]:
    """The failed ones alone, and those that were set aside."""
    return {"n_images": store.retry(mine.id)}


@router.delete("/{experiment_id}", status_code=204, summary="Remove it", responses=PROBLEMS)
def remove(mine: MineDependency, store: StoreDependency) -> None:
    """With all its files and results that no other experiment needs; what runs comes to nothing."""
    store.delete(mine.id)


@router.post(
    "/{experiment_id}/exclusions",
    status_code=201,
    summary="Let a well or an image count for nothing",
    response_model=ExclusionList,
    responses=PROBLEMS,
)
def exclude(body: ExclusionBody, mine: MineDependency, store: StoreDependency) -> dict[str, Any]:
    """With a reason, which every table tells. Exclusions are added to, and never taken back."""
    store.exclude(mine.id, body.as_exclusion())
    return exclusions(mine, store)


@router.get(
    "/{experiment_id}/exclusions",
    summary="What was excluded, and why",
    response_model=ExclusionList,
    responses=PROBLEMS,
)
def exclusions(mine: MineDependency, store: StoreDependency) -> dict[str, Any]:
    """The oldest first."""
    return {"exclusions": [asdict(one) for one in store.exclusions(mine.id)]}
