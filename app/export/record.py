"""What is kept of each image beside its files: how they came to be, and digests that tell whether they are whole."""

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from app.engine.result import Result
from app.export.formats import FileFormat


class PageRecord(BaseModel):
    """What is kept of one page: codes of its warnings, its summary, and how it came to be."""

    model_config = ConfigDict(frozen=True)

    warnings: tuple[str, ...]
    summary: dict[str, Any]
    provenance: dict[str, Any]


class Record(BaseModel):
    """What is kept of one image beside its files.

    Attributes
    ----------
    key
        Digest of all that decides the result: the image's bytes, the options, the model and this version.
    files
        Digests of the files, by their format.
    """

    model_config = ConfigDict(frozen=True)

    image: str
    key: str
    sha256: str
    files: dict[FileFormat, str]
    pages: tuple[PageRecord, ...]

    @classmethod
    def of(cls, result: Result, image: str, key: str, sha256: str, files: dict[FileFormat, str]) -> Self:
        """Of a result, whose files are written."""
        pages = tuple(
            PageRecord(
                warnings=tuple(warning.code for warning in plane.warnings),
                summary=plane.summary,
                provenance=plane.provenance,
            )
            for plane in result.planes
        )
        return cls(image=image, key=key, sha256=sha256, files=files, pages=pages)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What an earlier run left; None if that is no record, which a power cut or another version may have left."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None

    @property
    def summary_rows(self) -> list[dict[str, Any]]:
        """One row a page."""
        return [{"image": self.image} | summary_row(page) | {"sha256": self.sha256} for page in self.pages]


def summary_row(page: PageRecord) -> dict[str, Any]:
    """One page's count, areas and intensities, its warnings, and how they came to be, as one row of a table."""
    model, applied = page.provenance["model"], page.provenance["options"]
    return {
        "page": applied["page_applied"],
        "count": page.summary["count"],
        **{f"area_{name}_px": value for name, value in page.summary["area_px"].items()},
        "foreground_fraction": page.summary["foreground_fraction"],
        "density_per_mm2": page.summary["density_per_mm2"],
        **_intensities(page.summary),
        "warnings": " ".join(page.warnings),
        "channel": applied["channel_applied"],
        **{name: applied[f"{name}_applied"] for name in ("pixel_size_um", "pixel_height_um", "pixel_width_um")},
        "scale": applied["scale_applied"],
        "threshold": applied["threshold_applied"],
        "model": f"{model['name']}/{model['version']}",
        "model_dtype": model["dtype"],
        "karyometer": page.provenance["karyometer"],
    }


def _intensities(summary: dict[str, Any]) -> dict[str, float | None]:
    """Every number that a summary has of intensities, channel by channel, by a name of its own."""
    numbers = {name: value for name, value in summary.items() if name.startswith("intensity_")}
    return {
        f"{name}_{statistic}" if statistic else name: number
        for name, value in numbers.items()
        for statistic, number in (value.items() if isinstance(value, dict) else (("", value),))
    }
