"""What comes of experiments over HTTP: images, and tables."""

import asyncio
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.api import answers
from app.api.dependencies import EngineDependency
from app.api.documentation import PROBLEMS, result_responses
from app.api.experiment_effects import looking
from app.api.experiment_schemas import ImageList
from app.api.experiment_state import MineDependency, OwnerDependency, StoreDependency
from app.api.previews import PreviewsDependency, drawn, preview_info
from app.api.query_schemas import MEDIA_TYPES, Format, Include, PlaneQuery
from app.api.schemas import PreviewInfo, SegmentResponse
from app.engine.engine import Engine
from app.errors import ConflictError
from app.experiments.experiment import Experiment, Image
from app.experiments.intake import clean_name
from app.experiments.rendering import MEDIA_TYPES as TABLE_TYPES
from app.experiments.rendering import TableFormat, render
from app.experiments.reports.conclusion import overlay
from app.experiments.store import Store
from app.experiments.stored import StoredPlane
from app.experiments.tables import Names, TableName, Tables
from app.export.formats import FILE_FORMATS

router = APIRouter(prefix="/experiments/{experiment_id}", tags=["experiments"])

_THUMBNAIL_PX = 256


@router.get("/images", summary="What has become of its images", response_model=ImageList, responses=PROBLEMS)
def images(
    mine: MineDependency,
    store: StoreDependency,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> dict[str, Any]:
    """One row an image, in pages."""
    exclusions = store.exclusions(mine.id)
    rows = [
        {name: getattr(image, name) or None for name in ("image", "plate", "well", "site", "plane")}
        | {"state": image.state, "error_code": image.error_code, "error": image.error}
        | {
            "count": image.result and image.result.count,
            "warnings": image.result.record["warnings"] if image.result else [],
            "excluded": any(one.holds(image) for one in exclusions),
        }
        for image in store.images(mine.id, limit, offset)
    ]
    return {"images": rows, "n_images": sum(store.progress(mine.id).n_images.values())}


@router.get(
    "/images/{name:path}/thumbnail",
    summary="A small picture of an image with its outlines",
    response_class=Response,
    responses=PROBLEMS | {200: {"content": {"image/png": {}}}},
)
def thumbnail(name: str, mine: MineDependency, store: StoreDependency, engine: EngineDependency) -> Response:
    """PNG, at most 256 pixels wide and high."""
    return Response(_thumbnail(store, mine, _measured(store, mine, name), engine), media_type="image/png")


@router.get(
    "/images/{name:path}/preview",
    summary="What is in an image, to look at it",
    response_class=answers.JsonResponse,
    responses=PROBLEMS | {200: {"model": PreviewInfo}},
)
async def image_preview(
    request: Request,
    name: str,
    mine: MineDependency,
    store: StoreDependency,
    engine: EngineDependency,
    kept: PreviewsDependency,
    owner: OwnerDependency,
) -> answers.JsonResponse:
    """As `POST /preview` answers, of the plane that is measured; `GET /preview/{id}/...` has its tiles."""
    found = await asyncio.to_thread(store.image, mine.id, clean_name(name))
    digest = found.digests[0]
    await asyncio.to_thread(kept.store.refer, owner, digest, store.files.path(digest))
    plane = PlaneQuery(**mine.options.model_dump(include=set(PlaneQuery.model_fields)))
    drawing = await drawn(request, engine, kept, owner, digest, plane)
    return answers.JsonResponse(preview_info(digest, drawing))


@router.get(
    "/images/{name:path}",
    summary="The result of one image",
    response_class=answers.JsonResponse,
    responses=PROBLEMS | result_responses(SegmentResponse),
)
def image(
    name: str,
    mine: MineDependency,
    store: StoreDependency,
    engine: EngineDependency,
    wanted: Annotated[Format | Literal["thumbnail"], Query(alias="format")] = "json",
    include: Annotated[tuple[Include, ...], Query()] = ("mask", "nuclei"),
) -> Response:
    """As `POST /segment` answers it, in the same formats, and as a `thumbnail`."""
    found = _measured(store, mine, name)
    if wanted == "thumbnail":
        return Response(_thumbnail(store, mine, found, engine), media_type="image/png")
    plane = _plane(store, mine, found, engine, needs_picture="overlay" in (wanted, *include))
    headers = {"X-Nucleus-Count": str(plane.result.count), "X-Model": mine.maker.model}
    if wanted != "json":
        return Response(FILE_FORMATS[wanted].encode(plane), 200, headers, MEDIA_TYPES[wanted])
    record = plane.result.record
    body: dict[str, Any] = {
        "count": plane.result.count,
        "image": record["image"],
        **{part: answers.included(plane, part) for part in include},
        "summary": record["summary"],
        "warnings": record["warnings"],
        "evaluation": None,
        "provenance": record["provenance"] | {"timing_ms": {}},
    }
    return answers.JsonResponse(body, headers=headers)


@router.get(
    "/tables/{table}",
    summary="A table of all its images",
    response_class=StreamingResponse,
    responses=PROBLEMS | {200: {"content": {media_type: {} for media_type in TABLE_TYPES.values()}}},
)
def table(
    table: TableName,
    mine: MineDependency,
    store: StoreDependency,
    wanted: Annotated[
        TableFormat | None, Query(alias="format", description="without it the Accept header decides")
    ] = None,
    names: Annotated[Names, Query(description="whose names the columns have")] = "karyometer",
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> StreamingResponse:
    """`nuclei`, `images`, `wells` or `conditions`, of what is measured by now; as long as it may be."""
    chosen = wanted or answers.preferred_format(accept, TABLE_TYPES)
    tables = Tables(store, mine, names)
    parts = _begun(render(chosen, *tables.batches(table), tables.provenance))
    filename = f"{table}.{chosen}"
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return StreamingResponse(parts, media_type=TABLE_TYPES[chosen], headers=headers)


def _begun(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same, of which the first is made now: what is wrong is an answer, and no table that breaks off."""
    first = next(parts, b"")

    def all_of_them() -> Iterator[bytes]:
        yield first
        yield from parts

    return all_of_them()


def _measured(store: Store, experiment: Experiment, name: str) -> Image:
    found = store.image(experiment.id, clean_name(name))
    if found.result is None:
        why = found.error or "It waits for its turn; ask again when it is done."
        raise ConflictError(f"The image has no result. {why}")
    return found


def _plane(store: Store, experiment: Experiment, image: Image, engine: Engine, *, needs_picture: bool) -> StoredPlane:
    assert image.result is not None  # noqa: S101
    picture = engine.normalised(store.files.read(image.digests[0]), experiment.options) if needs_picture else None
    return StoredPlane(store.files, image.result, PurePosixPath(image.image).name, experiment.options, picture)


def _thumbnail(store: Store, experiment: Experiment, image: Image, engine: Engine) -> bytes:
    return overlay(Tables(store, experiment), image, looking(store, engine, experiment.options), _THUMBNAIL_PX)
