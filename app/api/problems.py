"""Domain errors to RFC 9457 problem details: class to status and stable code."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app import errors
from app.api.schemas import SegmentQuery
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


ANSWERS = {
    errors.EmptyUploadError: _Answer(400, "empty_upload", "The upload is empty"),
    errors.MalformedUploadError: _Answer(400, "malformed_upload", "The upload is malformed"),
    errors.UnreadableImageError: _Answer(400, "unreadable_image", "The image cannot be read"),
    errors.ApiKeyError: _Answer(401, "api_key_needed", "An API key is needed"),
    errors.UploadTooSlowError: _Answer(408, "upload_too_slow", "The upload is too slow"),
    errors.HostError: _Answer(421, "foreign_host", "The request was meant for another host"),
    errors.UploadTooLargeError: _Answer(413, "upload_too_large", "The upload is too large"),
    errors.ImageTooLargeError: _Answer(413, "image_too_large", "The image is too large"),
    errors.UnsupportedImageError: _Answer(415, "unsupported_image", "The image is of a kind that is not read"),
    errors.MissingPartError: _Answer(422, "missing_part", "A part is missing"),
    errors.UnknownPartError: _Answer(422, "unknown_part", "A part is not expected"),
    errors.SizeMismatchError: _Answer(422, "size_mismatch", "Image and mask differ in size"),
    errors.OptionError: _Answer(422, "invalid_option", "An option is not valid"),
    errors.TableError: _Answer(422, "unusable_table", "The table cannot answer the question"),
    errors.ChannelNeededError: _Answer(422, "channel_needed", "The channel of the nuclei must be named"),
    errors.FormatError: _Answer(422, "format_too_small", "The result does not fit into the format"),
    errors.QuotaError: _Answer(429, "quota_used_up", "The quota is used up"),
    errors.NoRoomError: _Answer(503, "no_room", "The service has no room for temporary files"),
    errors.NotReadyError: _Answer(503, "not_ready", "The service is not ready"),
    errors.BusyError: _Answer(503, "busy", "The service is busy"),
    # Nobody reads it; the log does.
    errors.ClientGoneError: _Answer(499, "client_gone", "The client has gone"),
}
# What the server says of a request that never reaches the application.
NOT_HTTP = _Answer(400, "malformed_request", "The request is malformed")
_HEADERS: dict[int, dict[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="karyometer"'},
    503: {"Retry-After": str(RETRY_AFTER_S)},
}
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
    name = str(error["loc"][1])
    if name in SegmentQuery.model_fields and error["type"] != "extra_forbidden":
        values = (SegmentQuery.model_fields[name].description or "").partition(": ")[0]
        detail = f"Option {name} does not take {error['input']!r}; give {values}."
    else:
        detail = f"There is no option {name!r} here; GET /docs lists the options."
    return problem(ANSWERS[errors.OptionError], detail)


async def _http_error(request: Request, exc: HTTPException) -> JSONResponse:
    status = HTTPStatus(exc.status_code)
    detail = _HTTP_DETAILS.get(status, status.description).format(path=request.url.path, method=request.method)
    return problem(_Answer(status, status.name.lower(), status.phrase), detail, exc.headers)


def unexpected_error(request: Request, exc: Exception) -> JSONResponse:
    """What is said of a mistake of ours, which the log has in full."""
    logger.error("%s %s failed", request.method, request.url.path, exc_info=exc)
    answer = _Answer(500, "internal_error", "Something went wrong")
    return problem(answer, "The service made a mistake; its log says which. Please report it with the image.")
