import csv
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from app.export.encode import encode_csv, encode_parquet
from app.export.joined import join_csv, join_parquet, merge_columns, write_rows

NAMES = ("grey.tif", "two, channels.tif", 'a "b"\n=c\rd.tif')
COLUMNS = ["label", "mean", "mean_c0", "mean_c1", "touches_border"]


def table(n_rows: int, n_channels: int) -> dict[str, np.ndarray]:
    rows = np.arange(n_rows)
    channels = {f"mean_c{number}": rows / 3 + number for number in range(n_channels)}
    return {"label": rows + 1, "mean": np.where(rows % 2, np.nan, 0.1)} | channels | {"touches_border": rows > 1}


def files(folder: Path, tables: dict[str, dict[str, np.ndarray]], ending: str) -> dict[str, Path]:
    paths = {}
    for number, (name, one) in enumerate(tables.items()):
        paths[name] = folder / f"{number}{ending}"
        paths[name].write_bytes(encode_csv(one) if ending == ".csv" else encode_parquet(one, {}))
    return paths


def test_joined_tables_have_the_columns_of_all_images_in_one_order(tmp_path: Path) -> None:
    tables = dict(zip(NAMES, (table(3, 0), table(2, 2), table(0, 1))))
    for order in permutations(NAMES):
        some = {name: tables[name] for name in order}
        join_csv(files(tmp_path, some, ".csv"), tmp_path / "joined.csv")
        join_parquet(files(tmp_path, some, ".parquet"), tmp_path / "joined.parquet")
        with (tmp_path / "joined.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        assert header == ["image", *COLUMNS]
        assert all(len(row) == len(header) for row in rows)
        by_image = {name: [row[1:] for row in rows if row[0] == name] for name in NAMES}
        assert by_image[NAMES[0]] == [
            ["1", "0.1", "", "", "0"],
            ["2", "", "", "", "0"],
            ["3", "0.1", "", "", "1"],
        ]
        assert by_image[NAMES[1]] == [
            ["1", "0.1", "0.0", "1.0", "0"],
            ["2", "", "0.3333333333333333", "1.3333333333333333", "0"],
        ]
        typed = pandas.read_parquet(tmp_path / "joined.parquet")
        assert typed["label"].dtype == np.int64
        pandas.testing.assert_frame_equal(
            typed, pandas.read_csv(tmp_path / "joined.csv").astype({"touches_border": bool})
        )


def test_types_that_differ_become_the_one_that_holds_both(tmp_path: Path) -> None:
    whole, real = {"label": np.array([1]), "size": np.array([2])}, {"label": np.array([1]), "size": np.array([2.5])}
    for order in ((whole, real), (real, whole)):
        join_parquet(files(tmp_path, dict(zip("ab", order)), ".parquet"), tmp_path / "joined.parquet")
        assert sorted(pandas.read_parquet(tmp_path / "joined.parquet")["size"]) == [2, 2.5]


def test_of_no_image_there_are_tables_too(tmp_path: Path) -> None:
    join_csv({}, tmp_path / "joined.csv")
    join_parquet({}, tmp_path / "joined.parquet")
    write_rows([], tmp_path / "rows.csv", ["image"])
    assert parquet.read_schema(tmp_path / "joined.parquet") == pyarrow.schema([("image", pyarrow.string())])
    for name in ("joined.csv", "rows.csv"):
        assert pandas.read_csv(tmp_path / name).columns.tolist() == ["image"]


def test_rows_that_lack_columns_are_empty_there(tmp_path: Path) -> None:
    write_rows([{"image": "a", "count": 1}, {"image": "b", "mean_c0": 0.5, "count": None}], tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_bytes() == b"image,mean_c0,count\na,,1\nb,0.5,\n"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_every_field_is_read_as_it_was_written(tmp_path_factory: Any, fields: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "fields.csv"
    row = {str(number): field for number, field in enumerate(["first", *fields])}
    write_rows([row, row], path)
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [list(row), list(row.values()), list(row.values())]


@given(st.lists(st.lists(st.sampled_from("abcdef"), unique=True), max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_columns_does_not_depend_on_that_of_tables(headers: list[list[str]], random: Any) -> None:
    merged = merge_columns(headers)
    assert sorted(merged) == sorted(set().union(*headers))
    random.shuffle(headers)
    assert merge_columns(headers) == merged


@given(st.data())
def test_columns_keep_the_order_that_all_tables_agree_on(data: st.DataObject) -> None:
    # As of images with several channels and fewer.
    widest = data.draw(st.permutations("abcdefg"))
    kept = data.draw(st.lists(st.sets(st.sampled_from("abcdefg"))))
    assert merge_columns([widest, *([column for column in widest if column in some] for some in kept)]) == widest
