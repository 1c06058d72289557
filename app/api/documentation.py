"""What FastAPI cannot see of our uploads and errors, for the OpenAPI document."""

import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from app.api.problems import ANSWERS, MEDIA_TYPE
from app.api.query_schemas import MEDIA_TYPES
from app.api.schemas import CocoFile, Problem
from app.reading.decode import FORMATS

# Made by `python -m benchmarks.examples`.
EXAMPLES_FILE = Path(__file__).with_name("examples.json")
_EXAMPLES: dict[str, dict[str, Any]] = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))
_FILE = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
_PARTS = {
    "image": _FILE | {"description": f"the microscope image: {FORMATS}"},
    "mask": _FILE | {"description": "its ground truth: PNG or TIFF, binary (any non-zero is nucleus) or labels"},
    "labels": _FILE | {"description": "its nuclei: PNG or TIFF of the image's size; 0 is background"},
}
_BINARY, _OBJECT = {"type": "string", "format": "binary"}, {"type": "object"}
_FILES = {kind: {"schema": _OBJECT if kind.endswith("+json") else _BINARY} for kind in MEDIA_TYPES.values()}
_HEADERS = {
    "X-Nucleus-Count": {"description": "number of nuclei", "schema": {"type": "integer"}},
    "X-Model": {"description": "name/version of the model", "schema": {"type": "string"}},
}
_TABLE = (
    "CSV or TSV, a row a well (or an image): `well` or `image`, `condition`; where there are any `plate`, `dose`, "
    "`dose_unit`, `replicate`, `control` (`negative`, `positive`); and a column for each endpoint"
)


def result_responses(model: Any) -> dict[int | str, dict[str, Any]]:
    """What a route answers whose result comes as JSON of this model, or in any other format; COCO's is JSON too."""
    return {
        200: {
            "model": model | CocoFile,
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
    raw = {"schema": {"type": "string", "description": _TABLE}}
    part = {"type": "object", "required": ["table"], "properties": {"table": _FILE | {"description": _TABLE}}}
    content = {"text/csv": raw, "text/tab-separated-values": raw, "multipart/form-data": {"schema": part}}
    return {"requestBody": {"required": True, "content": content}}


def _problem_responses() -> dict[int | str, dict[str, Any]]:
    examples: dict[int, dict[str, Any]] = {}
    for answer in ANSWERS.values():
        found = _EXAMPLES["problems"].get(answer.code)
        examples.setdefault(answer.status, {})[answer.code] = {"summary": answer.title, "value": found}
    return {
        status: {
            "description": ", ".join(f"`{code}`" for code in of_status),
            "content": {
                MEDIA_TYPE: {
                    "schema": Problem.model_json_schema(),
                    "examples": {code: example for code, example in of_status.items() if example["value"]},
                }
            },
        }
        for status, of_status in examples.items()
    }


PROBLEMS = _problem_responses()


def describe_by_example(app: FastAPI) -> None:
    """Let the app's OpenAPI document show what each route was asked once, and what it answered."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        made_before = app.openapi_schema is not None
        document = plain()
        if not made_before:
            for operations in document["paths"].values():
                for operation in operations.values():
                    _add_example(operation, _EXAMPLES["answers"].get(operation["operationId"], {}))
        return document

    app.openapi = document  # type: ignore[method-assign]


def _add_example(operation: dict[str, Any], example: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            parameter["example"] = _EXAMPLES["parameters"][parameter["name"]]
    if "request" in example:
        bodies = operation["requestBody"]["content"]
        next(iter(bodies.values()))["example"] = example["request"]
    if "answer" in example:
        content = operation["responses"][str(example["status"])]["content"]
        content.setdefault(example["media_type"], {})["example"] = example["answer"]
