"""What FastAPI cannot see of our uploads and errors, for the OpenAPI document."""

from typing import Any

from app.api.problems import ANSWERS, MEDIA_TYPE
from app.api.schemas import Problem
from app.reading.decode import FORMATS

_FILE = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
_PARTS = {
    "image": _FILE | {"description": f"the microscope image: {FORMATS}"},
    "mask": _FILE | {"description": "its ground truth: PNG or TIFF, binary (any non-zero is nucleus) or labels"},
}


def upload_body(required: tuple[str, ...], *, raw: bool = True) -> dict[str, Any]:
    """The request body of an upload route: multipart and, with `raw`, the image alone."""
    content: dict[str, Any] = {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": list(required),
                "properties": _PARTS,
                "additionalProperties": False,
            }
        }
    }
    if raw:
        content |= {f"image/{kind}": {"schema": _FILE} for kind in ("png", "jpeg", "tiff")}
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
