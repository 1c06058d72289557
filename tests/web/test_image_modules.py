"""The parts of the view of images that compute, each beside what the service computes."""

import base64
import csv
import io
import shlex
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from playwright.sync_api import Browser
from scipy import ndimage

from app.export.encode import encode_csv, encode_labels
from app.export.outlines import outline
from tests import synthetic

HOSTILE = 'it\'s "<b>"; rm -rf $HOME, `id`\n.tif'


@pytest.fixture(scope="module")
def call(browser: Browser, service: str) -> Iterator[Any]:
    """Runs a function's body in a page, with the module's exports as `module` and the argument as `given`."""
    page = browser.new_page()
    page.goto(f"{service}/version")

    def run(module: str, body: str, given: object = None) -> Any:
        return page.evaluate(
            f"async (given) => {{ const module = await import('/web/js/images/{module}'); {body} }}", given
        )

    yield run
    page.close()


def flat(labels: NDArray[Any]) -> dict[str, Any]:
    return {"width": labels.shape[1], "height": labels.shape[0], "data": labels.ravel().tolist()}


@pytest.mark.parametrize("largest", [9, 70_000])
def test_labels_are_read_as_the_service_writes_them_and_back(call: Any, largest: int) -> None:
    labels = np.random.default_rng(0).integers(0, 10, (700, 501)).astype(np.int32)
    labels[-1, -1] = largest
    file = encode_labels(labels, {"karyometer": "1"})
    n_pixels, is_same, written = call(
        "labels_tiff.js",
        """const read = await module.readLabels(module.fromBase64(given));
        const blob = await module.writeLabels(read);
        const bytes = new Uint8Array(await blob.arrayBuffer());
        const back = await module.readLabels(bytes);
        const letters = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
        return [read.data.length, back.data.every((label, index) => label === read.data[index]), btoa(letters)];""",
        base64.b64encode(file).decode(),
    )
    assert (n_pixels, is_same) == (labels.size, True)
    assert np.array_equal(tifffile.imread(io.BytesIO(base64.b64decode(written))), labels)


def test_outlines_are_those_of_the_service(call: Any) -> None:
    # Pixels at random have holes, and corners that touch.
    noisy = np.random.default_rng(1).random((12, 17)) < 0.6
    labels, count = ndimage.label(noisy, np.ones((3, 3)))
    boxes = [[rows.start, columns.start, rows.stop, columns.stop] for rows, columns in ndimage.find_objects(labels)]
    found = call(
        "trace.js",
        "return given.boxes.map((box, index) => module.rings(given, index + 1, box).map((ring) => Array.from(ring)));",
        flat(labels) | {"boxes": boxes},
    )
    assert len(found) == count
    for ours, theirs in zip(found, outline(labels), strict=True):
        of_ours = sorted(sorted(map(tuple, np.reshape(ring, (-1, 2)).tolist())) for ring in ours)
        assert of_ours == sorted(sorted(map(tuple, ring[:-1].tolist())) for ring in theirs)


EDITOR = """
const { Editor } = await import("/web/js/images/corrections/editor.js");
const { shapeOf } = await import("/web/js/images/found.js");
const { boxOf } = await import("/web/js/images/corrections/raster.js");
const raster = { width: given.width, height: given.height, data: Uint16Array.from(given.data) };
const whole = [0, 0, raster.height, raster.width];
const ids = [...new Set(given.data)].filter(Boolean);
const shapes = new Map(ids.map((id) => [id, shapeOf(raster, id, boxOf(raster, id, whole))]));
const editor = new Editor({ raster, shapes });
const before = Array.from(raster.data);
const chosen = module && given.act(editor);
"""


def corrected(call: Any, labels: NDArray[Any], act: str) -> tuple[NDArray[Any], list[int]]:
    """Labels after a correction and what is chosen then; taking it back and doing it again were seen to be exact."""
    body = (
        EDITOR.replace("module && given.act(editor)", act)
        + """
        const after = Array.from(raster.data);
        const known = [...shapes.keys()].sort();
        editor.undo();
        const isBack = raster.data.every((label, index) => label === before[index]);
        editor.redo();
        const isAgain = raster.data.every((label, index) => label === after[index]);
        return [after, chosen, known, isBack && isAgain];"""
    )
    after, chosen, known, is_exact = call("trace.js", body, flat(labels))
    assert is_exact
    assert known == sorted(set(after) - {0})
    return np.reshape(after, labels.shape), chosen


def test_a_nucleus_is_deleted(call: Any) -> None:
    labels = synthetic.discs((20, 30), (10, 8, 5), (10, 20, 5))
    after, chosen = corrected(call, labels, "editor.delete([1])")
    assert np.array_equal(after, np.where(labels == 1, 0, labels))
    assert chosen == []


def test_a_drawn_nucleus_holds_the_pixels_whose_middles_lie_inside_and_takes_none_away(call: Any) -> None:
    labels = synthetic.discs((20, 30), (10, 8, 5))
    after, chosen = corrected(call, labels, "editor.draw([[10, 4], [20, 4], [20, 12], [10, 12]])")
    assert chosen == [2]
    expected = labels.copy()
    expected[4:12, 10:20][labels[4:12, 10:20] == 0] = 2
    assert np.array_equal(after, expected)


def test_nuclei_that_touch_or_nearly_do_are_merged(call: Any) -> None:
    labels = np.zeros((12, 30), np.int32)
    labels[2:10, 2:10], labels[2:10, 10:16], labels[2:10, 18:24] = 1, 2, 3
    after, chosen = corrected(call, labels, "editor.merge([2, 1, 3])")
    assert chosen == [2]
    assert ndimage.label(after == 2, np.ones((3, 3)))[1] == 1
    assert set(np.unique(after)) == {0, 2}
    assert np.array_equal(after > 0, (labels > 0) | (after > 0))


def test_a_line_divides_a_nucleus_and_loses_no_pixel(call: Any) -> None:
    labels = synthetic.discs((30, 30), (15, 15, 10))
    after, chosen = corrected(call, labels, "editor.split([[2, 4], [28, 26]], new Set())")
    assert sorted(chosen) == [1, 2]
    assert np.array_equal(after > 0, labels > 0)
    assert [ndimage.label(after == one, np.ones((3, 3)))[1] for one in (1, 2)] == [1, 1]
    assert abs(np.count_nonzero(after == 1) - np.count_nonzero(after == 2)) < 40


@pytest.mark.parametrize(
    ("act", "why"),
    [
        ("editor.merge([1])", "two or more"),
        ("editor.merge([1, 2])", "do not touch"),
        ("editor.split([[0, 0], [29, 0]], new Set())", "divides no nucleus"),
        ("editor.split([[0, 10], [8, 10]], new Set())", "divides no nucleus"),
        ("editor.draw([[6, 8], [9, 8], [9, 11], [6, 11]])", "no free pixel"),
        ("editor.draw([[-9, -8], [-4, -8], [-4, -2]])", "outside"),
    ],
)
def test_what_cannot_be_corrected_is_refused_with_a_reason(call: Any, act: str, why: str) -> None:
    labels = synthetic.discs((20, 30), (10, 8, 5), (10, 24, 5))
    body = EDITOR.replace(
        "module && given.act(editor)", f"(() => {{ try {{ {act}; }} catch (error) {{ return error.message; }} }})()"
    )
    told, is_same = call(
        "trace.js",
        f"{body} return [chosen, raster.data.every((label, index) => label === before[index])];",
        flat(labels),
    )
    assert why in told
    assert is_same


def test_lines_for_a_terminal_keep_hostile_names_in_one_word(call: Any) -> None:
    curl, karyometer = call(
        "commands.js",
        """const curl = module.curlLine(given, { min_area_px: "30" }, { format: "csv" });
        return [curl, module.karyometerLine([given], { min_area_px: "30" })];""",
        HOSTILE,
    )
    assert shlex.split(karyometer) == ["karyometer", "segment", HOSTILE, "--output", "results", "--min-area-px", "30"]
    words = shlex.split(curl)
    assert words[:2] == ["curl", "-F"]
    assert words[2].startswith('image=@"it')
    assert words[3].endswith("/segment?min_area_px=30&format=csv")


def test_the_combined_table_has_the_columns_and_values_of_the_services_own(call: Any) -> None:
    table = {"label": np.array([1, 2]), "area_px": np.array([5, 7]), "area_um2": np.array([np.nan, np.nan])}
    box = {f"bbox_{side}_px": np.array([0, 1]) for side in ("row_min", "col_min", "row_max", "col_max")}
    last = {"touches_border": np.array([True, False])}
    rows = [
        {"id": 9, "label": 1, "area_px": 5, "area_um2": None, "bbox_px": [0, 0, 0, 0], "touches_border": True},
        {"id": 8, "label": 2, "area_px": 7, "area_um2": None, "bbox_px": [1, 1, 1, 1], "touches_border": False},
    ]
    text = call(
        "csv.js",
        "return module.combinedCsv([{ name: given.name, rows: given.rows }]);",
        {"name": HOSTILE, "rows": rows},
    )
    ours = list(csv.DictReader(io.StringIO(text, newline="")))
    theirs = list(csv.DictReader(io.StringIO(encode_csv(table | box | last).decode())))
    assert [row.pop("image") for row in ours] == [HOSTILE] * 2
    assert ours == theirs


def test_columns_have_names_for_people_and_an_order(call: Any) -> None:
    rows = [
        {"id": 1, "label": 1, "x_um": None, "area_px": 3.0, "centroid_col_px": 2.5},
        {"id": 2, "label": 2, "x_um": None, "area_px": 1.0, "centroid_col_px": None},
    ]
    names, titles, areas, places = call(
        "columns.js",
        """const names = module.columnNames(given);
        const order = (name, descending) => module.sorted(given, { name, descending }).map((row) => row.id);
        return [names, names.map(module.titleOf), order("area_px", false), order("centroid_col_px", true)];""",
        rows,
    )
    assert names == ["label", "area_px", "centroid_col_px"]
    assert titles == ["nucleus", "area (px)", "centroid column (px)"]
    assert (areas, places) == ([2, 1], [1, 2])


def test_every_number_is_in_one_bar(call: Any) -> None:
    counts, alone = call(
        "histogram.js", "return [module.binned(given).counts, module.binned([4]).counts];", list(range(27))
    )
    assert (len(counts), sum(counts)) == (6, 27)
    assert sum(alone) == 1
