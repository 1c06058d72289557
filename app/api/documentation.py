"""What FastAPI cannot see of our uploads and errors, for the OpenAPI document."""

from typing import Any

from app.api.problems import ANSWERS, MEDIA_TYPE
from app.api.schemas import MEDIA_TYPES, Problem
from app.reading.decode import FORMATS

_FILE = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
_PARTS = {
    "image": _FILE | {"description": f"the microscope image: {FORMATS}"},
    "mask": _FILE | {"description": "its ground truth: PNG or TIFF, binary (any non-zero is nucleus) or labels"},
    "labels": _FILE | {"description": "its nuclei: PNG or TIFF of the image's size; 0 is background"},
}
_FILES = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES.values()}
_HEADERS = {
    "X-Nucleus-Count": {"description": "number of nuclei", "schema": {"type": "integer"}},
    "X-Model": {"description": "name/version of the model", "schema": {"type": "string"}},
}
_TABLE = (
    "CSV or TSV, a row a well (or an image): `well` or `image`, `condition`; where there are any `plate`, `dose`, "
    "`dose_unit`, `replicate`, `control` (`negative`, `positive`); and a column for each endpoint"
)
_TABLE_EXAMPLE = (
    "well,condition,control,count\nA1,DMSO,negative,100\nA2,DMSO,negative,101\nA3,DMSO,negative,108\n"
    "B1,drug,,80\nB2,drug,,85\nB3,drug,,90\n"
)


def result_responses(model: Any) -> dict[int | str, dict[str, Any]]:
    """What a route answers whose result comes as JSON of this model, or in any other format."""
    return {
        200: {
            "model": model,
            "description": "The nuclei, in the format asked for; a count of 0 is a result too",
            "content": {name: content for name, content in _FILES.items() if name != "application/json"},
            "headers": _HEADERS,
        }
    }


def upload_body(required: tuple[str, ...], optional: tuple[str, ...] = (), *, raw: bool = True) -> dict[str, Any]:
    """The request body of an upload route: multipart and, with `raw`, the image alone."""
    content: dict[str, Any] = {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": list(required),
                "properties": {name: _PARTS[name] for name in (*required, *optional)},
                "additionalProperties": False,
            }
        }
    }
    if raw:
        content |= {f"image/{kind}": {"schema": _FILE} for kind in ("png", "jpeg", "tiff")}
    return {"requestBody": {"required": True, "content": content}}


def table_body() -> dict[str, Any]:
    """The request body of a route that takes a table: raw, or the part `table`."""
    raw = {"schema": {"type": "string", "description": _TABLE}, "example": _TABLE_EXAMPLE}
    part = {"type": "object", "required": ["table"], "properties": {"table": _FILE | {"description": _TABLE}}}
    content = {"text/csv": raw, "text/tab-separated-values": raw, "multipart/form-data": {"schema": part}}
    return {"requestBody": {"required": True, "content": content}}


def _problem_responses() -> dict[int | str, dict[str, Any]]:
    titles: dict[int, list[str]] = {}
    for answer in ANSWERS.values():
        titles.setdefault(answer.status, []).append(f"`{answer.code}`")
    return {
        status: {
            "description": ", ".join(codes),
            "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
        }
        for status, codes in titles.items()
    }


PROBLEMS = _problem_responses()
