"""Layouts that are written are read as the same."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.experiments.layouts.layout import Layout, read_layout
from app.experiments.layouts.written import write_layout

KINDS = {
    "ours": "plate,well,condition,dose,dose_unit,replicate,control,passage\np1,A1,DMSO,0,uM,1,negative,12\n"
    'p1,b02,"taxol, pure",0.1,uM,2,,13\n',
    "images": "image,condition\na/x.tif,DMSO\nb/x.tif,taxol\n",
    "images of wells": "image,well,channel,condition\nx.tif,A01,w1,DMSO\ny.tif,A01,w1,DMSO\nz.tif,A01,w2,DMSO\n",
    "a grid": "condition\n,1,2\nA,DMSO,taxol\n\ndose (nM)\n,1,2\nA,0,5\n",
    "Fractal": "row,column,drug,concentration,concentration_unit\nA,1,taxol,1,nM\nA,1,nocodazole,5,nM\n",
    "LoadData": "Image_FileName_DNA,Image_FileName_GFP,Metadata_Well,Metadata_Site,Metadata_condition,Metadata_dose\n"
    "d1.tif,g1.tif,A01,1,DMSO,0\nd2.tif,g2.tif,A01,2,DMSO,0\n",
    "doses and controls": "Column,Row,Doses,Controls\n01,A,0,-1\n02,A,3,0\n03,A,9,1\n",
}


def understood(layout: Layout) -> object:
    """What a layout says, without the lines in which it says it."""
    wells = {place: (row.site, dict(row.values)) for place, row in layout.wells.items()}
    paths = [path for row in layout.rows for _, path in row.files]
    images = {path: (layout.place_of(path), dict(layout.of(None, None, path) or {})) for path in paths}
    return layout.columns, layout.plates, wells, images


@pytest.mark.parametrize("text", KINDS.values(), ids=KINDS)
def test_every_kind_is_read_back_as_the_same(text: str) -> None:
    layout = read_layout(text.encode(), dose_unit="mM")
    again = read_layout(write_layout(layout).encode())
    assert understood(again) == understood(layout)
    assert write_layout(again) == write_layout(layout)


@given(st.floats(0, 1e12), st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=30))
def test_doses_and_names_are_kept(dose: float, name: str) -> None:
    plain = read_layout(b"well,condition,dose,dose_unit\nA01,taxol,1,nM\n")
    (row,) = plain.rows
    # Some words are not there at all, such as NA; and names are read without spaces around them.
    layout = replace(plain, rows=(replace(row, values={**row.values, "condition": f"c{name}", "dose": dose}),))
    (again,) = read_layout(write_layout(layout).encode()).rows
    assert dict(again.values) == dict(layout.rows[0].values)
