"""Images on their way into experiments over HTTP: one by one as instruments write them, or many at once."""

import asyncio
import zipfile
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from app.api.admission import AdmissionDependency
from app.api.dependencies import EngineDependency
from app.api.documentation import PROBLEMS
from app.api.experiment_schemas import Fates, Stored
from app.api.experiment_state import MineDependency, StoreDependency
from app.api.meter import MeterDependency, get_meter
from app.api.uploads import claimed_bytes, in_time, limited, multipart_headers
from app.errors import EmptyUploadError, KaryometerError, MalformedUploadError
from app.experiments.intake import Fate, add_bytes, add_zip, clean_name, is_wanted
from app.experiments.layouts.fields import is_sidecar
from app.experiments.store import Store

router = APIRouter(prefix="/experiments", tags=["experiments"])

_MAX_PARTS = 100_000


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
    body = limited(request, settings.max_archive_bytes)
    parser = MultiPartParser(multipart_headers(request), body, max_files=_MAX_PARTS, max_fields=10)
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
