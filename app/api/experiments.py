"""Experiments over HTTP: made, filled, closed, followed, deleted."""

import asyncio
import zipfile
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from app.api.admission import AdmissionDependency
from app.api.dependencies import EngineDependency
from app.api.documentation import PROBLEMS
from app.api.experiment_schemas import (
    ExclusionBody,
    ExclusionList,
    ExperimentList,
    ExperimentStatus,
    Fates,
    NewExperiment,
    Retried,
    Stored,
)
from app.api.experiment_state import MineDependency, OwnerDependency, StoreDependency, status_of
from app.api.meter import MeterDependency, get_meter
from app.api.uploads import claimed_bytes, in_time, limited
from app.errors import ChannelNeededError, EmptyUploadError, KaryometerError, MalformedUploadError, OptionError
from app.experiments.intake import Fate, add_bytes, add_zip, clean_name, is_wanted
from app.experiments.layouts.fields import is_sidecar
from app.experiments.layouts.layout import read_layout
from app.experiments.plan import plan
from app.experiments.store import Store
from app.experiments.worker import Maker

router = APIRouter(prefix="/experiments", tags=["experiments"])

_MAX_LAYOUT_BYTES = 20 * 2**20
_MAX_PARTS = 100_000
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
    "/{experiment_id}/images/{name:path}",
    status_code=201,
    summary="Add one image, as an instrument writes it",
    response_model=Stored,
    responses=PROBLEMS | {200: {"model": Stored, "description": "The same bytes were there already"}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put_image(
    name: str,
    request: Request,
    response: Response,
    mine: MineDependency,
    store: StoreDependency,
    engine: EngineDependency,
    meter: MeterDependency,
    admission: AdmissionDependency,
) -> dict[str, Any]:
    """The image is the raw body. It is answered when it is safe on the disk; the same bytes again are no matter."""
    name = clean_name(name)
    await asyncio.to_thread(store.check_open_or_known, mine.id, name)
    store.files.check_room(claimed_bytes(request))
    admission.enter()
    try:
        with store.files.incoming() as incoming:
            async with in_time(request):
                async for chunk in limited(request, request.app.state.settings.max_upload_bytes):
                    incoming.file.write(chunk)
            n_bytes = incoming.file.tell()
            if not n_bytes:
                raise EmptyUploadError("The body is empty; send the bytes of the image.")
            digest = await asyncio.to_thread(incoming.keep)
        is_new = await asyncio.to_thread(store.add_file, mine.id, name, digest, n_bytes)
        if is_new and not is_sidecar(name) and meter.quota.is_limited:
            path = store.files.path(digest)
            meter.quota.charge(meter.record.key, await asyncio.to_thread(engine.pixels_to_segment, path, mine.options))
    finally:
        admission.leave()
    response.status_code = 201 if is_new else 200
    return {"name": name, "sha256": digest, "n_bytes": n_bytes}


@router.post(
    "/{experiment_id}/images",
    summary="Add many images, or zips of them",
    dependencies=[Depends(get_meter)],
    response_model=Fates,
    responses=PROBLEMS,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                    }
                }
            },
        }
    },
)
async def post_images(
    request: Request,
    mine: MineDependency,
    store: StoreDependency,
    admission: AdmissionDependency,
) -> dict[str, Any]:
    """A multipart body of files, whose filenames may have folders; the answer says what became of each."""
    await asyncio.to_thread(store.check_open, mine.id)
    store.files.check_room(2 * claimed_bytes(request))
    admission.enter()
    try:
        form = await _parts(request)
        try:
            uploads = [part for _, part in form.multi_items() if isinstance(part, UploadFile) and part.filename]
            if not uploads:
                raise MalformedUploadError("The body has no files; send file parts with filenames.")
            fates = await asyncio.to_thread(_add_all, request, store, mine.id, uploads)
        finally:
            await form.close()
    finally:
        admission.leave()
    return {"files": [fate._asdict() for fate in fates]}


async def _parts(request: Request) -> Any:
    settings = request.app.state.settings
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise MalformedUploadError("Send a multipart/form-data body of files, or PUT one image as the raw body.")
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"").decode("latin-1")
    headers = Headers({"content-type": f'multipart/form-data; boundary="{boundary}"'})
    body = limited(request, settings.max_archive_bytes)
    parser = MultiPartParser(headers, body, max_files=_MAX_PARTS, max_fields=10)
    try:
        async with in_time(request):
            return await parser.parse()
    except MultiPartException as exc:
        raise MalformedUploadError("The multipart body cannot be taken apart; send file parts with filenames.") from exc


def _add_all(request: Request, store: Store, experiment_id: str, uploads: list[UploadFile]) -> list[Fate]:
    settings = request.app.state.settings
    fates: list[Fate] = []
    for upload in uploads:
        name, file = upload.filename or "", upload.file
        if name.lower().endswith(".zip") and not name.lower().endswith(".zarr.zip") and zipfile.is_zipfile(file):
            file.seek(0)
            try:
                fates += add_zip(store, experiment_id, file, settings.max_archive_bytes, settings.max_upload_bytes)
            except KaryometerError as exc:
                if exc.code not in ("unreadable_image", "upload_too_large"):
                    raise
                fates.append(Fate(name, "refused", exc.code, str(exc)))
        elif is_wanted(name):
            file.seek(0)
            fates.append(add_bytes(store, experiment_id, name, file, settings.max_upload_bytes))
        else:
            fates.append(Fate(name, "left_out"))
    return fates


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
