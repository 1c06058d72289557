"""The answer about a table for the OpenAPI document and for clients, made of the dataclasses that are its schema."""

import inspect
import types
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.statistics.results import Interval, StatisticsWarning
from app.statistics.schema import Effects


def _model(kind: Any) -> Any:
    """The model of a dataclass, or named tuple, as `Effects.as_dict` writes it: named fields as an object."""
    if get_origin(kind) in (tuple, types.UnionType):
        inner = tuple(_model(one) for one in get_args(kind) if one is not Ellipsis)
        return list[inner[0]] if get_origin(kind) is tuple else _either(inner)  # type: ignore[valid-type]
    if kind not in _MODELS and (is_dataclass(kind) or kind in (Interval, StatisticsWarning)):
        hints = get_type_hints(kind)
        names = [field.name for field in fields(kind)] if is_dataclass(kind) else list(kind._fields)
        described: Any = {name: (_model(hints[name]), ...) for name in names}
        _MODELS[kind] = create_model(
            kind.__name__, __config__=ConfigDict(extra="forbid"), __doc__=inspect.getdoc(kind), **described
        )
    return _MODELS.get(kind, kind)


def _either(kinds: tuple[Any, ...]) -> Any:
    either = kinds[0]
    for kind in kinds[1:]:
        either |= kind
    return either


_MODELS: dict[Any, type[BaseModel]] = {}
EffectsResponse: type[BaseModel] = create_model(
    "Effects",
    __base__=_model(Effects),
    __doc__=inspect.getdoc(Effects),
    answer=(str, Field(description="what the table says, in a sentence for people")),
    limits=(str, Field(description="what it could not say, in a sentence for people")),
)
