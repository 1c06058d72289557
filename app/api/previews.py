"""Previews: what browsers cannot show, as PNG tiles that a viewer asks for one by one."""

import asyncio
from functools import partial
from hashlib import sha256
from pathlib import Path as FilePath
from typing import Annotated, Any
from weakref import WeakValueDictionary

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from app import __version__
from app.api.admission import TicketDependency, ticket_for
from app.api.answers import JsonResponse
from app.api.dependencies import EngineDependency
from app.api.documentation import PROBLEMS, upload_body
from app.api.experiment_state import OwnerDependency
from app.api.preview_store import Place, PreviewStore
from app.api.query_schemas import PlaneQuery
from app.api.schemas import PreviewInfo
from app.api.uploads import Form, read_form
from app.engine.engine import Engine
from app.engine.preview import TILE_PX, Preview
from app.errors import NoPreviewError
from app.export.encode import encode_png

router = APIRouter(prefix="/preview", tags=["preview"])

_FORM = Form(("image",), "one file part named `image`", ("image/", "application/octet-stream"))
_CACHED = {"Cache-Control": "private, max-age=3600", "Vary": "Authorization"}
# Longer numbers are no tile's.
_MOST = 10**6


class Previews:
    """The store of one app, and who draws in it: of several requests for a plane one draws it, the others wait."""

    def __init__(self, store: PreviewStore) -> None:
        self.store = store
        self._drawing: WeakValueDictionary[tuple[str, str, Place], asyncio.Lock] = WeakValueDictionary()

    def drawing(self, owner: str, digest: str, place: Place) -> asyncio.Lock:
        """Held by who draws a plane."""
        return self._drawing.setdefault((owner, digest, place), asyncio.Lock())


async def get_previews(request: Request) -> Previews:
    """The previews of the app."""
    previews: Previews = request.app.state.previews
    return previews


async def preview_request(
    request: Request, ticket: TicketDependency, query: Annotated[PlaneQuery, Query()]
) -> tuple[PlaneQuery, bytes]:
    """What `POST /preview` is asked, and the bytes of the image."""
    return query, (await read_form(request, ticket, _FORM))["image"].data


PreviewsDependency = Annotated[Previews, Depends(get_previews)]
PlaneDependency = Annotated[PlaneQuery, Query()]
PreviewRequest = Annotated[tuple[PlaneQuery, bytes], Depends(preview_request)]
PreviewId = Annotated[str, Path(description="the `id` that `POST /preview` gave", pattern="^[0-9a-f]{64}$")]
TileNumber = Annotated[int, Path(ge=0, le=_MOST)]


@router.post(
    "",
    summary="Send an image to look at it",
    response_class=JsonResponse,
    responses=PROBLEMS | {200: {"model": PreviewInfo, "description": "What is in the image, and how to ask for tiles"}},
    openapi_extra=upload_body(required=("image",)),
)
async def add_preview(
    request: Request,
    engine: EngineDependency,
    previews: PreviewsDependency,
    owner: OwnerDependency,
    asked: PreviewRequest,
) -> JsonResponse:
    """Send it as the part `image`, or as the raw body. Its `id` is its SHA-256.

    The service keeps it for some time, for whoever has the same API key. `channel`, `page` and `scene` choose what is
    shown, here and in the other requests; the answer has those that were chosen.
    """
    query, data = asked
    digest = await asyncio.to_thread(previews.store.add, owner, data)
    return _described(digest, await drawn(request, engine, previews, owner, digest, query))


@router.get(
    "/{preview_id}",
    summary="What is in an image that was sent",
    response_class=JsonResponse,
    responses=PROBLEMS | {200: {"model": PreviewInfo, "description": "As POST /preview answers"}},
)
async def describe_preview(
    request: Request,
    preview_id: PreviewId,
    engine: EngineDependency,
    previews: PreviewsDependency,
    owner: OwnerDependency,
    query: PlaneDependency,
) -> JsonResponse:
    """404 when it is not kept any more: send it again."""
    return _described(preview_id, await drawn(request, engine, previews, owner, preview_id, query))


@router.get(
    "/{preview_id}/{level}/{column}_{row}",
    summary="A tile of an image that was sent",
    response_class=Response,
    responses=PROBLEMS
    | {
        200: {"content": {"image/png": {}}, "description": "PNG with 8 bits: grey of one channel, or RGB of colour"},
        304: {"description": "The tile that the header If-None-Match names is still the right one"},
    },
)
async def preview_tile(
    request: Request,
    preview_id: PreviewId,
    level: TileNumber,
    column: TileNumber,
    row: TileNumber,
    engine: EngineDependency,
    previews: PreviewsDependency,
    owner: OwnerDependency,
    query: PlaneDependency,
) -> Response:
    """Tiles are squares of `tile_px`, which do not overlap and are smaller at the right and lower edges.

    Level 0 is the smallest and fits into one tile; each further one is twice as large, and the last, `n_levels` - 1,
    has the image's own size. The brightness is that of the whole plane, the same in all tiles.
    """
    preview = await drawn(request, engine, previews, owner, preview_id, query)
    named = f"{preview_id} {_place(query)} {level} {column} {row} {engine.model.card.sha256} {__version__}"
    headers = _CACHED | {"ETag": f'"{sha256(named.encode()).hexdigest()[:32]}"'}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    content = await asyncio.to_thread(_encoded_tile, preview, level, column, row)
    return Response(content, 200, headers, "image/png")


async def drawn(
    request: Request, engine: Engine, previews: Previews, owner: str, digest: str, query: PlaneQuery
) -> Preview:
    """The picture of a plane; drawn when it is the request's turn, unless it is there.

    Raises
    ------
    NoPreviewError
        The image is not kept any more.
    """
    store, place = previews.store, _place(query)
    if (found := store.preview(owner, digest, place)) is not None:
        return found
    async with previews.drawing(owner, digest, place):
        if (found := store.preview(owner, digest, place)) is not None:
            return found
        n_pixels = await asyncio.to_thread(_pixels, engine, store.source(owner, digest), query)
        async with ticket_for(request) as ticket:
            return await ticket.run(n_pixels, partial(_draw, store, engine, owner, digest, query))


def _place(query: PlaneQuery) -> Place:
    return Place(query.channel, query.page, query.scene)


def _pixels(engine: Engine, source: FilePath, query: PlaneQuery) -> int:
    try:
        return engine.pixels_to_segment(source, query.options)
    except FileNotFoundError:
        # Drawing says so.
        return 0


def _draw(store: PreviewStore, engine: Engine, owner: str, digest: str, query: PlaneQuery) -> Preview:
    def draw(source: FilePath, folder: FilePath) -> Preview:
        return engine.preview(source, query.options, folder, store.max_bytes)

    return store.draw(owner, digest, _place(query), draw)


def _encoded_tile(preview: Preview, level: int, column: int, row: int) -> bytes:
    try:
        pixels = preview.tile(level, column, row)
    except FileNotFoundError as exc:
        raise NoPreviewError("This picture was removed just now; ask again, or send the image again.") from exc
    if pixels is None:
        raise NoPreviewError(f"The image has no tile {column}_{row} at level {level}; its description says how many.")
    return encode_png(pixels)


def _described(digest: str, preview: Preview) -> JsonResponse:
    return JsonResponse(preview_info(digest, preview))


def preview_info(digest: str, preview: Preview) -> dict[str, Any]:
    """The fields of `PreviewInfo`."""
    image, size = preview.image, preview.image.pixel_size
    return {
        "id": digest,
        "height_px": image.height,
        "width_px": image.width,
        "n_channels": preview.n_channels,
        "channel_names": image.channel_names,
        "n_pages": image.n_pages,
        "n_scenes": image.n_scenes,
        "channel": image.channel,
        "page": image.page,
        "scene": image.scene,
        "dtype": image.dtype,
        "axes": image.axes,
        "pixel_size_um": size and size.side_um,
        "pixel_height_um": size and size.row_um,
        "pixel_width_um": size and size.col_um,
        "tile_px": TILE_PX,
        "n_levels": len(preview.levels),
        "warnings": [warning._asdict() for warning in image.warnings],
    }
