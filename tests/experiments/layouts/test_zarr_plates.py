import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import UnreadableImageError
from app.experiments.layouts import zarr_plates
from app.experiments.layouts.fields import find_fields
from app.experiments.layouts.zarr_plates import zarr_plate_fields
from app.reading.decode import decode_image
from app.reading.sources import read_source
from tests import bio_files


def write(group: Path, key: str, said: Any, is_new: bool = True) -> None:
    group.mkdir(parents=True, exist_ok=True)
    if is_new:
        metadata = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", key: said}}}
        (group / "zarr.json").write_text(json.dumps(metadata))
    else:
        (group / ".zattrs").write_text(json.dumps({key: said}))


def plate(folder: Path, wells: dict[str, list[str]], is_new: bool = True) -> Path:
    write(folder, "plate", {"wells": [{"path": path, "rowIndex": 0, "columnIndex": 0} for path in wells]}, is_new)
    for path, images in wells.items():
        write(folder / path, "well", {"images": [{"path": image} for image in images]}, is_new)
        for image in images:
            (folder / path / image).mkdir()
    return folder


@pytest.mark.parametrize("is_new", [True, False])
def test_wells_and_sites(tmp_path: Path, is_new: bool) -> None:
    folder = plate(tmp_path / "p.zarr", {"A/1": ["0", "1"], "AF/48": ["0"]}, is_new)
    found = zarr_plate_fields(folder)
    assert found is not None
    assert (*found.images,) == ("p.zarr/A/1/0", "p.zarr/A/1/1", "p.zarr/AF/48/0")
    assert found.missing == ()
    fields = find_fields(found.images).fields
    assert [(field.plate, field.well, field.site) for field in fields] == [
        ("p", "A01", "0"),
        ("p", "A01", "1"),
        ("p", "AF48", "0"),
    ]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_each_image_is_read_by_its_path(tmp_path: Path, zarr_format: int) -> None:
    folder = plate(tmp_path / "p.zarr", {"B/2": []}, zarr_format == 3)
    write(folder / "B/2", "well", {"images": [{"path": "0"}]}, zarr_format == 3)
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(1, 1, 1, 64, 64)
    bio_files.ome_zarr(folder / "B/2/0", pixels, ["DAPI"], zarr_format)
    found = zarr_plate_fields(folder)
    assert found is not None
    image = decode_image(read_source(folder.parent / found.images[0]), 10**6)
    np.testing.assert_array_equal(image.channels.squeeze(), pixels.squeeze())


def test_what_a_plate_lists_and_does_not_have(tmp_path: Path) -> None:
    folder = plate(tmp_path / "p.zarr", {"A/1": ["0"], "A/2": ["0"], "A/3": ["0"]})
    (folder / "A/2/0").rmdir()
    (folder / "A/3/zarr.json").unlink()
    assert zarr_plate_fields(folder) == (("p.zarr/A/1/0",), ("p.zarr/A/2/0", "p.zarr/A/3"))


def test_other_folders_are_no_plates(tmp_path: Path) -> None:
    assert zarr_plate_fields(tmp_path) is None
    write(tmp_path, "multiscales", [])
    assert zarr_plate_fields(tmp_path) is None
    (tmp_path / "zarr.json").write_text("[1]")
    assert zarr_plate_fields(tmp_path) is None


@pytest.mark.parametrize(
    "said",
    [
        *(None, [], {}, {"wells": 3}, {"wells": [3]}, {"wells": [{}]}, {"wells": [{"path": 3}]}),
        *({"wells": [{"path": path}]} for path in ("../..", "/etc/x", "A/1/0", "A", "A/..", "A\\1", "A/1\n")),
    ],
)
def test_damaged_plates(tmp_path: Path, said: Any) -> None:
    folder = tmp_path / "p.zarr"
    write(folder, "plate", said)
    if said is None:
        assert zarr_plate_fields(folder) is None
        return
    with pytest.raises(UnreadableImageError, match=r"plate p.zarr are damaged; .*\."):
        zarr_plate_fields(folder)


@pytest.mark.parametrize("said", [[], {}, {"images": [{"path": ".."}]}, {"images": [{"path": "0/1"}]}])
def test_damaged_wells(tmp_path: Path, said: Any) -> None:
    folder = plate(tmp_path / "p.zarr", {"A/1": []})
    write(folder / "A/1", "well", said)
    with pytest.raises(UnreadableImageError, match="damaged"):
        zarr_plate_fields(folder)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000])
def test_metadata_that_are_no_json(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "zarr.json").write_bytes(text)
    with pytest.raises(UnreadableImageError, match="damaged"):
        zarr_plate_fields(tmp_path)


def test_more_than_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = plate(tmp_path / "p.zarr", {"A/1": ["0", "1", "2"]})
    monkeypatch.setattr(zarr_plates, "_MAX_IMAGES", 2)
    with pytest.raises(UnreadableImageError, match="more than 2 images"):
        zarr_plate_fields(folder)
    monkeypatch.setattr(zarr_plates, "_MAX_BYTES", 10)
    with pytest.raises(UnreadableImageError, match="damaged"):
        zarr_plate_fields(folder)
