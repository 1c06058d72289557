"""The options in a query string: what a route does not know, or takes once and gets twice, is refused everywhere."""

from collections import Counter

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.errors import OptionError

# Options that take several values, of all routes.
REPEATABLE = ("include", "endpoint")


async def known_options(request: Request) -> None:
    """Refuse a query string before anything is done with it; a dependency of all routes that take options.

    Raises
    ------
    OptionError
        The route has no such option, or an option that takes one value is there several times.
    """
    route: APIRoute = request.scope["route"]
    known = _options(route.dependant)
    for name, number in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known:
            raise OptionError(f"There is no option {name!r} here; GET /docs lists the options.")
        if number > 1 and name not in REPEATABLE:
            raise OptionError(f"Option {name} takes one value and is in the query string more than once; leave one.")


def _options(dependant: Dependant) -> set[str]:
    """What a route and all that it depends on take from the query string."""
    known: set[str] = set().union(*map(_options, dependant.dependencies))
    for parameter in dependant.query_params:
        kind = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            known |= set(kind.model_fields)
        else:
            known.add(parameter.alias)
    return known
