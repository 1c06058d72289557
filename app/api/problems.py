"""Domain errors to RFC 9457 problem details: class to status and stable code."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from app import errors
from app.api.query_schemas import ExperimentEffectsQuery, MeasureQuery, SegmentQuery
from app.logs import RequestRecord, request_record
from app.settings import Settings

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
# About what loading and warming the model takes.
RETRY_AFTER_S = 10


class _Answer(NamedTuple):
    status: int
    code: str
    title: str


_STATUSES: dict[type[errors.KaryometerError], tuple[int, str]] = {
    errors.EmptyUploadError: (400, "The upload is empty"),
    errors.MalformedUploadError: (400, "The upload is malformed"),
    errors.UnreadableImageError: (400, "The image cannot be read"),
    errors.ApiKeyError: (401, "An API key is needed"),
    errors.NoSuchError: (404, "There is no such experiment"),
    errors.NoPreviewError: (404, "The picture is not kept here"),
    errors.ConflictError: (409, "The experiment forbids it"),
    errors.UploadTooSlowError: (408, "The upload is too slow"),
    errors.HostError: (421, "The request was meant for another host"),
    errors.UploadTooLargeError: (413, "The upload is too large"),
    errors.ImageTooLargeError: (413, "The image is too large"),
    errors.UnsupportedImageError: (415, "The image is of a kind that is not read"),
    errors.MissingPartError: (422, "A part is missing"),
    errors.UnknownPartError: (422, "A part is not expected"),
    errors.SizeMismatchError: (422, "Image and mask differ in size"),
    errors.OptionError: (422, "An option is not valid"),
    errors.TableError: (422, "The table cannot answer the question"),
    errors.LayoutError: (422, "The layout cannot be used"),
    errors.ChannelNeededError: (422, "The channel of the nuclei must be named"),
    errors.FormatError: (422, "The result does not fit into the format"),
    errors.QuotaError: (429, "The quota is used up"),
    errors.NoRoomError: (503, "The service has no room for temporary files"),
    errors.NotReadyError: (503, "The service is not ready"),
    errors.BusyError: (503, "The service is busy"),
    # Nobody reads it; the log does.
    errors.ClientGoneError: (499, "The client has gone"),
}
ANSWERS = {kind: _Answer(status, kind.code, title) for kind, (status, title) in _STATUSES.items()}
# What the server says of a request that never reaches the application.
NOT_HTTP = _Answer(400, "malformed_request", "The request is malformed")
_HEADERS: dict[int, dict[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="karyometer"'},
    503: {"Retry-After": str(RETRY_AFTER_S)},
}
_OPTIONS = MeasureQuery.model_fields | SegmentQuery.model_fields | ExperimentEffectsQuery.model_fields
_HTTP_DETAILS = {
    HTTPStatus.NOT_FOUND: "There is nothing at {path}; GET /docs lists what there is.",
    HTTPStatus.METHOD_NOT_ALLOWED: "{path} does not answer {method}; GET /docs lists what it answers.",
}


def problem(answer: _Answer, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A problem+json response, whose code the log will tell."""
    request_record.get(RequestRecord()).code = answer.code
    return JSONResponse(body(answer, detail), answer.status, headers, media_type=MEDIA_TYPE)


def body(answer: _Answer, detail: str) -> dict[str, str | int]:
    """The fields of a `Problem`."""
    return {
        "type": f"urn:karyometer:problem:{answer.code}",
        "title": answer.title,
        "status": answer.status,
        "detail": detail,
        "code": answer.code,
    }


def install(app: FastAPI) -> None:
    """Let every error that is expected leave the app as problem+json."""
    app.exception_handler(errors.KaryometerError)(_domain_error)
    app.exception_handler(RequestValidationError)(_option_error)
    app.exception_handler(HTTPException)(_http_error)


async def _domain_error(_: Request, exc: errors.KaryometerError) -> JSONResponse:
    return domain_problem(exc)


def domain_problem(exc: errors.KaryometerError) -> JSONResponse:
    """The answer to a request that was refused."""
    answer = ANSWERS[type(exc)]
    headers = _HEADERS.get(answer.status, {})
    if isinstance(exc, errors.RetryLaterError):
        headers = {"Retry-After": str(exc.retry_after_s)}
    variable = Settings.variable_for(exc)
    detail = f"{exc} {variable} on the server sets this." if variable else str(exc)
    return problem(answer, detail, headers)


async def _option_error(_: Request, exc: RequestValidationError) -> JSONResponse:
    error = exc.errors()[0]
    place = [str(part) for part in error["loc"][1:]]
    name = next((part for part in place if part in _OPTIONS), None)
    if error["type"] == "json_invalid":
        detail = "The body is no JSON that can be read."
    elif error["type"] == "extra_forbidden":
        detail = f"There is no option {place[-1]!r} here; GET /docs lists the options."
    elif name is not None:
        values = (_OPTIONS[name].description or "").partition(": ")[0]
        detail = f"Option {name} does not take {error['input']!r}; give {values}."
    else:
        named = f"{error['loc'][0]} {'.'.join(place)}".strip()
        detail = f"The {named} is missing or cannot have this value; GET /docs says which it takes."
    return problem(ANSWERS[errors.OptionError], detail)


async def _http_error(request: Request, exc: HTTPException) -> JSONResponse:
    status = HTTPStatus(exc.status_code)
    detail = _HTTP_DETAILS.get(status, status.description).format(path=request.url.path, method=request.method)
    headers = (_allowed(request) if status == HTTPStatus.METHOD_NOT_ALLOWED else None) or exc.headers
    return problem(_Answer(status, status.name.lower(), status.phrase), detail, headers)


def _allowed(request: Request) -> dict[str, str] | None:
    """What the path answers, over all its routes; FastAPI tells of one alone."""
    described = request.app.openapi()["paths"]
    methods = {
        method.upper()
        for path, operations in described.items()
        if compile_path(path)[0].match(request.url.path)
        for method in operations
    }
    return {"Allow": ", ".join(sorted(methods))} if methods else None


def unexpected_error(request: Request, exc: Exception) -> JSONResponse:
    """What is said of a mistake of ours, which the log has in full."""
    logger.error("%s %s failed", request.method, request.url.path, exc_info=exc)
    answer = _Answer(500, "internal_error", "Something went wrong")
    return problem(answer, "The service made a mistake; its log says which. Please report it with the image.")
