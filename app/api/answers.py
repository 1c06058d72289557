"""Results of the engine to answers: the bodies that `schemas` describes, and files."""

import base64
import hashlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, TypeVar

import orjson
from fastapi import Response
from fastapi.responses import JSONResponse, StreamingResponse

from app.api.meter import Meter
from app.api.query_schemas import MEDIA_TYPES, Format, Include
from app.engine.result import Evaluation, PlaneResult, Result
from app.export.description import image_info, matches, nuclei_rows, polygons
from app.export.formats import FILE_FORMATS, FileFormat, Measured, encode, write
from app.reading.memmap import disk_full_told
from app.reading.warnings import ImageWarning

_CHUNK_BYTES = 2**20
_Format = TypeVar("_Format", bound=str)


class JsonResponse(JSONResponse):
    """What is measured, as JSON; what is not a number becomes null."""

    def render(self, content: Any) -> bytes:
        """Ten times as fast as Python's own encoder, for which every other request would wait."""
        return orjson.dumps(content)


def result_answer(
    meter: Meter,
    result: Result,
    image: bytes,
    file_format: Format,
    include: Sequence[Include],
    of_mask: Sequence[ImageWarning] = (),
    evaluation: dict[str, Any] | None = None,
) -> Response:
    """A result as JSON or as the file that is asked for.

    Parameters
    ----------
    meter
        Told how long encoding took.
    result, image
        Of these bytes.
    file_format, include
        See `app.api.query_schemas.SegmentQuery`.
    of_mask
        What was assumed of a mask, or of labels, that came with the image.
    evaluation
        The fields of `Scores`.
    """
    card = result.planes[0].card
    headers = {"X-Nucleus-Count": str(result.count), "X-Model": f"{card.name}/{card.version}"}
    if file_format != "json":
        return _file(meter, result, file_format, headers)
    digest = hashlib.sha256(image).hexdigest()
    bodies = [_body(meter, plane, digest, include, of_mask, evaluation) for plane in result.planes]
    body = {"count": result.count, "pages": bodies} if result.is_stack else bodies[0]
    return JsonResponse(body, headers=headers)


def _file(meter: Meter, result: Result, file_format: FileFormat, headers: dict[str, str]) -> Response:
    """The result as a file, from the memory or, as large ones are, from the disk."""
    start = time.perf_counter()
    media_type = MEDIA_TYPES[file_format]
    if result.planes[0].is_in_memory:
        content = encode(result, file_format)
        meter.encoded(start)
        return Response(content, 200, headers, media_type)
    with disk_full_told(), TemporaryDirectory(prefix="karyometer-") as folder:
        path = Path(folder, "answer")
        with path.open("wb") as file:
            write(result, file_format, file)
        meter.encoded(start)
        headers |= {"Content-Length": str(path.stat().st_size)}
        # It can be read as long as it is open, though its folder is gone.
        return StreamingResponse(_chunks(path.open("rb")), 200, headers, media_type)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _body(
    meter: Meter,
    plane: PlaneResult,
    digest: str,
    include: Sequence[Include],
    of_mask: Sequence[ImageWarning],
    evaluation: dict[str, Any] | None,
) -> dict[str, Any]:
    start = time.perf_counter()
    body: dict[str, Any] = {
        "count": plane.count,
        "image": image_info(plane, digest),
        **{name: included(plane, name) for name in include},
        "summary": plane.summary,
        "warnings": warnings(plane, of_mask),
        "evaluation": evaluation,
    }
    return body | {"provenance": provenance(plane, encode=meter.encoded(start))}


def preferred_format(accept: str, media_types: Mapping[_Format, str]) -> _Format:
    """The format that an Accept header likes best (RFC 9110, 12.5.1); the first among equals, and where it likes none.

    Examples
    --------
    >>> preferred_format("text/html, image/tiff;q=0.8, */*;q=0.1", {"json": "application/json", "labels": "image/tiff"})
    'labels'
    """
    weights: dict[str, float] = {}
    for media_range in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in media_range.split(";"))
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        weights[media_type] = float(quality) if re.fullmatch(r"[01](\.\d{0,3})?", quality) else 0

    def weight(media_type: str) -> float:
        ranges = (media_type, media_type.partition("/")[0] + "/*", "*/*")
        return next((weights[media_range] for media_range in ranges if media_range in weights), 0)

    return max(media_types, key=lambda name: weight(media_types[name]))


def included(plane: Measured, name: Include) -> Any:
    """What a JSON answer holds under one of the names of `include`."""
    if name == "nuclei":
        # Most of an answer: encoded here, where the time of encoding is taken.
        return orjson.Fragment(orjson.dumps(nuclei_rows(plane.nuclei)))
    return polygons(plane.labels) if name == "polygons" else encoded_file(plane, name)


def encoded_file(plane: Measured, file_format: FileFormat) -> dict[str, str]:
    """The fields of `EncodedFile`."""
    kind = FILE_FORMATS[file_format]
    return {"media_type": kind.media_type, "data": base64.b64encode(kind.encode(plane)).decode()}


def warnings(plane: PlaneResult, of_mask: Sequence[ImageWarning] = ()) -> list[dict[str, str]]:
    """The fields of each `ImageWarning`: the image's, and those of a mask that came with it."""
    return [warning._asdict() for warning in (*plane.warnings, *of_mask)]


def scores(plane: PlaneResult, evaluation: Evaluation, *, with_matches: bool) -> dict[str, Any]:
    """The fields of `Scores`."""
    more = {"matches": matches(evaluation.truth, plane.labels)} if with_matches else {}
    return (
        more
        | asdict(evaluation.pixels)
        | {
            "count_predicted": evaluation.count_predicted,
            "count_true": evaluation.count_true,
            "count_error": evaluation.count_predicted - evaluation.count_true,
            "mask_kind": evaluation.mask_kind,
            "matching": [asdict(matching) for matching in evaluation.matching],
            "average_precision": evaluation.average_precision,
        }
    )


def provenance(plane: PlaneResult, **timing_ms: float) -> dict[str, Any]:
    """The fields of `Provenance`; `timing_ms` is that of stages after the plane."""
    return plane.provenance | {"timing_ms": plane.timing_ms | timing_ms}
