"""Lengths as files write them, to micrometres."""

import re
from typing import Any
from unicodedata import normalize

UM_PER_INCH = 25_400
_UM = {
    "pm": 1e-6,
    "picometer": 1e-6,
    "a": 1e-4,
    "å": 1e-4,
    "angstrom": 1e-4,
    "ångström": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "um": 1,
    # Greek mu; normalising makes it of the micro sign.
    "μm": 1,
    # How programs write the sign that they cannot.
    "\\u00b5m": 1,
    "âμm": 1,
    "�m": 1,
    "?m": 1,
    "micron": 1,
    "micrometer": 1,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "m": 1e6,
    "meter": 1e6,
    "thou": UM_PER_INCH / 1000,
    "in": UM_PER_INCH,
    "inch": UM_PER_INCH,
    "inche": UM_PER_INCH,
}
# What says that there is no calibration.
_NO_UNITS = ("", "pixel", "px", "unit", "reference frame", "none", "unknown")
_NUMBER = re.compile(r"([+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?)\s*(.*)", re.DOTALL)


def in_um(length: Any, unit: str = "") -> float | None:
    """A length in micrometres, None where there is none; the value itself may have the unit, and a decimal comma.

    Raises
    ------
    ValueError
        It is no number, or its unit is not known.

    Examples
    --------
    >>> in_um(325, "nm"), in_um("0,65 µm"), in_um(2, "pixel"), in_um("", "um")
    (0.325, 0.65, None, None)
    """
    text = str(length).strip() if length is not None else ""
    if not text:
        return None
    number = _NUMBER.fullmatch(text)
    if number is None:
        raise ValueError(f"{text[:40]!r} is no length")
    factors = {factor for factor in map(_factor, (number[2], unit)) if factor is not None}
    if len(factors) > 1:
        raise ValueError(f"{text[:40]!r} has another unit than {unit[:40]!r}")
    return float(number[1].replace(",", ".")) * factors.pop() if factors else None


def _factor(unit: str) -> float | None:
    """Micrometres in it, None for none; see `in_um`."""
    name = normalize("NFKC", unit).strip().strip(".\"'").lower().replace("metre", "meter")
    for spelling in (name, name.removesuffix("s")):
        if spelling in _NO_UNITS:
            return None
        if spelling in _UM:
            return _UM[spelling]
    raise ValueError(f"{unit[:40]!r} is no unit of length")
