"""`POST /effects`: a table of measurements in; what the treatments did out."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from app.api.admission import TicketDependency
from app.api.answers import JsonResponse
from app.api.documentation import PROBLEMS, table_body
from app.api.effects_schema import EffectsResponse
from app.api.query_schemas import EffectsQuery
from app.api.uploads import Form, read_form
from app.experiments.reports.measurements import read_measurements
from app.experiments.reports.report_text import answered
from app.statistics.effects import EffectOptions, effects

router = APIRouter(tags=["measure"])

_FORM = Form(("table",), "one file part named `table`", raw_types=())
# Minutes of one core; a plate of 384 wells has a few hundred.
MOST_COMPARISONS = 3_000
# What a table is worth in the queue: four plates of 384 wells take as long as an image of so many pixels.
_PX_PER_BYTE = 100


async def effects_request(
    request: Request, ticket: TicketDependency, query: Annotated[EffectsQuery, Query()]
) -> tuple[EffectsQuery, bytes]:
    """What is asked, and the bytes of the table; see `uploads.read_form`."""
    return query, (await read_form(request, ticket, _FORM))["table"].data


EffectsRequest = Annotated[tuple[EffectsQuery, bytes], Depends(effects_request)]


@router.post(
    "/effects",
    summary="What did the treatments of a table of measurements do?",
    response_class=JsonResponse,
    responses=PROBLEMS | {200: {"model": EffectsResponse, "description": "Effects, curves and plate quality"}},
    openapi_extra=table_body(),
)
async def effects_of_table(ticket: TicketDependency, asked: EffectsRequest) -> JsonResponse:
    """Send a table with a row a well, and a column that marks the negative controls.

    Each condition, at each dose, is compared with its control. n is the number of replicates, which are wells unless
    the table or the option `replicate` says otherwise. Differences are treated minus control. A number that the design
    cannot give is null, and a warning says what is missing.
    """
    query, table = asked
    return await ticket.run(max(1, len(table) * _PX_PER_BYTE), partial(_answer, query, table))


def _answer(query: EffectsQuery, table: bytes) -> JsonResponse:
    measured = read_measurements(table)
    return JsonResponse(answered(effects(measured.columns, effect_options(query), MOST_COMPARISONS)))


def effect_options(query: EffectsQuery) -> EffectOptions:
    """What is asked, for the statistics."""
    asked = query.model_dump()
    return EffectOptions(endpoints=asked.pop("endpoint"), **asked)
