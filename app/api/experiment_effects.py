"""What the treatments of an experiment did, over HTTP: as JSON, and as a report."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from app.api.answers import JsonResponse
from app.api.dependencies import EngineDependency
from app.api.documentation import PROBLEMS
from app.api.effects import MOST_COMPARISONS, effect_options
from app.api.effects_schema import EffectsResponse
from app.api.experiment_state import MineDependency, StoreDependency
from app.api.query_schemas import ExperimentEffectsQuery
from app.engine.engine import Engine
from app.errors import TableError
from app.experiments.reports.conclusion import Look, conclude, shown_images
from app.experiments.reports.report_text import answered
from app.experiments.store import Store
from app.experiments.tables import Tables
from app.options import SegmentationOptions

router = APIRouter(prefix="/experiments/{experiment_id}", tags=["experiments"])


@router.get(
    "/effects",
    summary="What its treatments did",
    response_class=JsonResponse,
    responses=PROBLEMS | {200: {"model": EffectsResponse, "description": "Effects, curves and plate quality"}},
)
def effects(
    mine: MineDependency, store: StoreDependency, query: Annotated[ExperimentEffectsQuery, Query()]
) -> JsonResponse:
    """Of its table of wells, as `POST /effects` answers for tables from elsewhere.

    Raises
    ------
    TableError
        The experiment cannot answer.
    """
    compared = conclude(Tables(store, mine), effect_options(query), MOST_COMPARISONS)
    if compared.effects is None:
        raise TableError(compared.why_no_effects or "")
    return JsonResponse(answered(compared.effects))


@router.get(
    "/report",
    summary="A report for the lab notebook",
    response_class=Response,
    responses=PROBLEMS | {200: {"content": {"text/html": {}}}},
)
def report(
    mine: MineDependency,
    store: StoreDependency,
    engine: EngineDependency,
    query: Annotated[ExperimentEffectsQuery, Query()],
) -> Response:
    """One HTML file without links to others; without a layout it has the tables alone, and says why."""
    # What draws takes seconds to import.
    from app.experiments.reports.report import Report

    tables = Tables(store, mine)
    compared = conclude(tables, effect_options(query), MOST_COMPARISONS)
    images = shown_images(tables, compared, looking(store, engine, mine.options))
    provenance: dict[str, Any] = tables.provenance | {"effects": query.model_dump()}
    found = Report(compared.wells, compared.effects, compared.why_no_effects)
    return Response(found.page(mine.name, images, provenance), media_type="text/html; charset=utf-8")


def looking(store: Store, engine: Engine, options: SegmentationOptions) -> Look:
    """What shows an image of the store to people."""
    return lambda digest: engine.normalised(store.files.read(digest), options)
