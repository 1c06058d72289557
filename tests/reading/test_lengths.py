from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.reading.lengths import in_um


@pytest.mark.parametrize(
    ("unit", "length_um"),
    [
        ("nm", 1e-3),
        ("nanometers", 1e-3),
        ("um", 1),
        ("\u00b5m", 1),
        ("\u03bcm", 1),
        ("\\u00B5m", 1),
        ("\u00c2\u00b5m", 1),
        ("?m", 1),
        ("Microns", 1),
        ("micrometers", 1),
        ("micrometre", 1),
        ("mm", 1e3),
        ("millimetres", 1e3),
        ("cm", 1e4),
        ("m", 1e6),
        ("meters", 1e6),
        ("inch", 25_400),
        ("inches", 25_400),
        ("in.", 25_400),
        ("angstrom", 1e-4),
        ("Angstroms", 1e-4),
        ("\u00c5", 1e-4),
        ("\u212b", 1e-4),
        ("pm", 1e-6),
    ],
)
def test_units_of_every_spelling(unit: str, length_um: float) -> None:
    assert in_um("2,5", f" {unit} ") == pytest.approx(2.5 * length_um)
    assert in_um(f"2.5 {unit}") == pytest.approx(2.5 * length_um)
    assert in_um(f"25e-1{unit}", unit) == pytest.approx(2.5 * length_um)


@pytest.mark.parametrize("length", [None, "", "  ", "3 pixels", "3", 3])
def test_no_length_is_none(length: object) -> None:
    assert in_um(length) is None


@pytest.mark.parametrize(
    ("length", "unit"),
    [("abc", "um"), ("nan", "um"), ("1", "furlong"), ("1 nm", "um"), ("1.234,5", "um"), ("1 2", "um")],
)
def test_what_is_no_length_is_refused(length: str, unit: str) -> None:
    with pytest.raises(ValueError, match=r"no length|no unit|another unit"):
        in_um(length, unit)


@given(st.text(), st.text())
def test_any_text_is_a_number_none_or_refused(length: str, unit: str) -> None:
    with suppress(ValueError):
        assert in_um(length, unit) is None or isinstance(in_um(length, unit), float)
