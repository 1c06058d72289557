import importlib.util
import io
import json
import random
import resource
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import (
    ChannelNeededError,
    ImageTooLargeError,
    KaryometerError,
    NoRoomError,
    OptionError,
    UnreadableImageError,
    UnsupportedImageError,
)
from app.reading import bio, bio_header
from app.reading.decode import claimed_pixels, decode_image, decode_mask, decode_pages
from app.reading.isolation import DecodeProcesses
from app.reading.sources import Source
from app.reading.stack import DecodedImage
from tests import bio_files
from tests.bio_files import NAMES, PIXEL_SIZE_UM
from tests.client import TestClient
from tests.synthetic import discs, picture

LIMIT = 1_000_000
# Smooth, so that nothing is said of noise: T 2, Z 3, C 2.
PLANE = np.arange(16 * 20).reshape(16, 20) * 150
STACK = np.stack(
    [[[PLANE + 5000 * t + 700 * z + 20 * c for c in range(2)] for z in range(3)] for t in range(2)]
).astype(np.uint16)
COLOURS = np.stack([PLANE % 256, PLANE // 200, 255 - PLANE % 256], axis=2).astype(np.uint8)


def zipped(store: Path, prefix: str = "") -> bytes:
    made = Source(store, store.name).read()
    if not prefix:
        return made
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(made)) as plain, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as nested:
        for name in plain.namelist():
            nested.writestr(f"{prefix}{name}", plain.read(name))
    return buffer.getvalue()


def changed(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """A zip whose members are what `change` makes of their names and bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as plain, zipfile.ZipFile(buffer, "w") as other:
        for name in plain.namelist():
            other.writestr(name, change(name, plain.read(name)))
    return buffer.getvalue()


WRITERS: dict[str, Callable[[Path, np.ndarray], bytes]] = {
    "CZI": lambda _, pixels: bio_files.czi(pixels),
    "CZI, zstd": lambda _, pixels: bio_files.czi(pixels, compression_options="zstd1:ExplicitLevel=3"),
    "CZI, tiles": lambda _, pixels: bio_files.czi(pixels, tile=7),
    "ND2": lambda _, pixels: bio_files.nd2(pixels),
    "LIF": lambda _, pixels: bio_files.lif(pixels),
    "OME-Zarr 0.4": lambda folder, pixels: zipped(bio_files.ome_zarr(folder / "a.zarr", pixels, zarr_format=2)),
    "OME-Zarr 0.5": lambda folder, pixels: zipped(bio_files.ome_zarr(folder / "a.zarr", pixels), "plate/a.zarr/"),
    "ozx": lambda folder, pixels: bio_files.ome_zarr(folder / "a.ozx", pixels).read_bytes(),
}


@pytest.fixture(params=WRITERS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    """The stack in every format."""
    return WRITERS[request.param](tmp_path, STACK)


@pytest.fixture(scope="module")
def decoders() -> Iterator[DecodeProcesses]:
    """A process that may crash and hang."""
    decoders = DecodeProcesses(1, 4 * 2**30, 10)
    yield decoders
    decoders.close()


def codes(decoded: DecodedImage) -> list[str]:
    return [warning.code for warning in decoded.warnings]


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """After each test the temporary folder is as empty as before."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield
    assert not list(temporary.glob("karyometer-*"))


def test_pages_channels_and_what_the_file_says(made: bytes) -> None:
    decoded = decode_image(made, LIMIT)
    np.testing.assert_array_equal(decoded.image, STACK[0, 0, 1])
    np.testing.assert_array_equal(decoded.channels, np.moveaxis(STACK[0, 0], 0, -1))
    assert decoded.image.dtype == np.uint16
    assert (decoded.n_pages, decoded.n_channels, decoded.channel, decoded.page) == (6, 2, 1, 0)
    assert decoded.channel_names == NAMES
    assert decoded.pixel_size_um == pytest.approx(PIXEL_SIZE_UM)
    assert sorted(decoded.axes) == sorted("TCZYX")
    assert codes(decoded) == ["pages_ignored"]
    np.testing.assert_array_equal(decode_image(made, LIMIT, "gfp", 4).image, STACK[1, 1, 0])
    brightest = decode_image(made, LIMIT, 0, "max")
    np.testing.assert_array_equal(brightest.image, STACK.max(axis=(0, 1))[0])
    assert codes(brightest) == []


@pytest.mark.parametrize("kind", ["CZI", "CZI, tiles", "ND2", "LIF", "OME-Zarr 0.4", "OME-Zarr 0.5"])
def test_the_reader_itself_lays_out_every_page(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(WRITERS[kind](tmp_path, STACK))
    file_format = kind.split(",")[0].split()[0]
    fields, read_page = bio.lay_out(path, file_format, "image", LIMIT)
    assert (fields["height"], fields["width"], fields["n_pages"], fields["n_channels"]) == (16, 20, 6, 2)
    for number, (t, z) in enumerate(np.ndindex(2, 3)):
        np.testing.assert_array_equal(read_page(number), np.moveaxis(STACK[t, z], 0, -1))


def test_they_count_in_the_queue_though_their_headers_are_not_read(made: bytes) -> None:
    assert claimed_pixels(made, None, 10**8) == len(made)


def test_all_pages_are_read_from_one_file_that_is_let_go(made: bytes) -> None:
    pages = decode_pages(made, LIMIT, 0, "all")
    assert len(pages) == 6
    for page, (t, z) in zip(pages, np.ndindex(2, 3)):
        np.testing.assert_array_equal(page.image, STACK[t, z, 0])


@pytest.mark.parametrize("kind", ["CZI", "ND2", "LIF", "OME-Zarr 0.5"])
def test_one_plane_is_an_image(kind: str, tmp_path: Path) -> None:
    single = STACK[:1, :1, :1]
    made = {
        "CZI": lambda: bio_files.czi(single, ["Cy5"]),
        "ND2": lambda: bio_files.nd2(single, ["Cy5"]),
        "LIF": lambda: bio_files.lif(single, ["Cy5"]),
        "OME-Zarr 0.5": lambda: zipped(bio_files.ome_zarr(tmp_path / "a.zarr", single, ["Cy5"])),
    }[kind]()
    decoded = decode_image(made, LIMIT)
    np.testing.assert_array_equal(decoded.image, single[0, 0, 0])
    assert (decoded.axes, decoded.n_pages, decoded.n_channels, decoded.channel) == ("YX", 1, 1, 0)
    assert codes(decoded) == []
    np.testing.assert_array_equal(decode_mask(made, LIMIT).values[..., 0], single[0, 0, 0])
    with pytest.raises(ImageTooLargeError, match="16 x 20 pixels, the limit is 300"):
        decode_image(made, 300)


def test_colours_are_red_green_blue() -> None:
    czi = decode_image(bio_files.czi(COLOURS, ()), LIMIT)
    nd2 = decode_image(bio_files.nd2(COLOURS, ["Brightfield"]), LIMIT)
    for decoded in (czi, nd2):
        np.testing.assert_array_equal(decoded.image, COLOURS)
        assert (decoded.axes, decoded.n_channels, decoded.channel) == ("YXC", 3, None)
    assert (codes(czi), codes(nd2)) == ([], ["axes_assumed"])


def test_the_nuclear_channel_must_be_clear() -> None:
    with pytest.raises(ChannelNeededError, match="one of: Cy3, Cy5"):
        decode_image(bio_files.czi(STACK, ["Cy3", "Cy5"]), LIMIT)


@pytest.mark.parametrize("kind", ["CZI", "ND2", "LIF", "OME-Zarr"])
def test_further_scenes_are_left_out_and_said_so(kind: str, tmp_path: Path) -> None:
    if kind == "OME-Zarr":
        store = zipped(bio_files.ome_zarr(tmp_path / "a.zarr", STACK), "0/")
        with zipfile.ZipFile(io.BytesIO(store)) as first, zipfile.ZipFile(tmp_path / "both.zip", "w") as both:
            for folder in ("0/", "1/", "0/labels/nuclei/"):
                for name in first.namelist():
                    both.writestr(folder + name.removeprefix("0/"), first.read(name))
        made = (tmp_path / "both.zip").read_bytes()
    else:
        made = getattr(bio_files, kind.lower())(STACK, n_scenes=2)
    decoded = decode_image(made, LIMIT, page=1)
    np.testing.assert_array_equal(decoded.image, STACK[0, 1, 1])
    assert codes(decoded) == ["scenes_ignored"]
    assert "has 2 scenes" in decoded.warnings[0].message
    assert (decoded.scene, decoded.n_scenes) == (0, 2)


@pytest.mark.parametrize("kind", ["CZI", "ND2", "LIF", "OME-Zarr"])
def test_each_scene_can_be_asked_for(kind: str, tmp_path: Path) -> None:
    other = STACK[..., ::-1]
    if kind == "OME-Zarr":
        with zipfile.ZipFile(tmp_path / "both.zip", "w") as both:
            for number, pixels in enumerate((STACK, other)):
                store = zipped(bio_files.ome_zarr(tmp_path / f"{number}.zarr", pixels))
                with zipfile.ZipFile(io.BytesIO(store)) as one:
                    for name in one.namelist():
                        both.writestr(f"{number}/{name}", one.read(name))
        made = (tmp_path / "both.zip").read_bytes()
    else:
        made = getattr(bio_files, kind.lower())(STACK, n_scenes=2, further=other)
    for scene, pixels in enumerate((STACK, other)):
        decoded = decode_image(made, LIMIT, page=1, scene=scene)
        np.testing.assert_array_equal(decoded.image, pixels[0, 1, 1])
        assert (decoded.scene, decoded.n_scenes, codes(decoded)) == (scene, 2, [])
        assert decoded.pixel_size_um == pytest.approx(PIXEL_SIZE_UM)
    with pytest.raises(OptionError, match="no scene 2; the file has 2, counted from 0"):
        decode_image(made, LIMIT, page=1, scene=2)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_every_image_of_a_group_is_a_scene(zarr_format: int, tmp_path: Path) -> None:
    """One group may hold several multiscales, each with data sets of its own."""
    other = STACK[..., ::-1]
    store = zipped(bio_files.ome_zarr(tmp_path / "a.zarr", STACK, zarr_format=zarr_format))
    further = zipped(bio_files.ome_zarr(tmp_path / "b.zarr", other, zarr_format=zarr_format), "further/")
    described = ".zattrs" if zarr_format == 2 else "zarr.json"

    def with_two(name: str, content: bytes) -> bytes:
        if name != described:
            return content
        attributes = json.loads(content)
        ome = attributes["attributes"]["ome"] if zarr_format == 3 else attributes
        (first,) = ome["multiscales"]
        second = json.loads(json.dumps(first))
        for dataset in second["datasets"]:
            dataset["path"] = f"further/{dataset['path']}"
        ome["multiscales"] = [first, second]
        return json.dumps(attributes).encode()

    with zipfile.ZipFile(tmp_path / "both.zip", "w") as both:
        for data in (changed(store, with_two), further):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for name in archive.namelist():
                    # The further group does not call itself an image.
                    if name not in ("further/.zattrs", "further/zarr.json"):
                        both.writestr(name, archive.read(name))
        if zarr_format == 3:
            both.writestr("further/zarr.json", json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}))
    made = (tmp_path / "both.zip").read_bytes()
    first = decode_image(made, LIMIT, page=1)
    np.testing.assert_array_equal(first.image, STACK[0, 1, 1])
    assert (first.scene, first.n_scenes, codes(first)) == (0, 2, ["scenes_ignored"])
    second = decode_image(made, LIMIT, page=1, scene=1)
    np.testing.assert_array_equal(second.image, other[0, 1, 1])
    assert (second.scene, second.n_scenes, codes(second)) == (1, 2, [])
    with pytest.raises(OptionError, match="no scene 2; the file has 2, counted from 0"):
        decode_image(made, LIMIT, scene=2)


def test_a_pixel_size_without_unit_or_calibration_is_none(tmp_path: Path) -> None:
    store = zipped(bio_files.ome_zarr(tmp_path / "a.zarr", STACK, axes_units=[None] * 5))
    assert decode_image(store, LIMIT).pixel_size_um is None
    assert decode_image(bio_files.nd2(STACK, is_calibrated=False), LIMIT).pixel_size_um is None


def test_axes_that_a_store_does_not_name_are_said_to_be_assumed(tmp_path: Path) -> None:
    def without_axes(name: str, content: bytes) -> bytes:
        if name != ".zattrs":
            return content
        attributes = json.loads(content)
        del attributes["multiscales"][0]["axes"]
        return json.dumps(attributes).encode()

    store = zipped(bio_files.ome_zarr(tmp_path / "a.zarr", STACK, zarr_format=2))
    decoded = decode_image(changed(store, without_axes), LIMIT)
    np.testing.assert_array_equal(decoded.image, STACK[0, 0, 1])
    assert codes(decoded) == ["axes_assumed", "pages_ignored"]


def described(tmp_path: Path, change: Callable[[dict[str, Any]], None], zarr_format: int = 2) -> bytes:
    """A store of `STACK` whose description of its one image, and beside it, is another."""

    def with_change(name: str, content: bytes) -> bytes:
        if name != (".zattrs" if zarr_format == 2 else "zarr.json"):
            return content
        attributes = json.loads(content)
        change(attributes["attributes"]["ome"] if zarr_format == 3 else attributes)
        return json.dumps(attributes).encode()

    return changed(zipped(bio_files.ome_zarr(tmp_path / "a.zarr", STACK, zarr_format=zarr_format)), with_change)


def reverse_scale(said: dict[str, Any]) -> None:
    level = said["multiscales"][0]["datasets"][0]
    level["coordinateTransformations"].insert(0, {"type": "translation", "translation": [0.0] * 5})


def rename_axes(said: dict[str, Any]) -> None:
    said["multiscales"][0]["axes"][1]["name"] = "channel"


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("change", [reverse_scale, rename_axes])
def test_a_store_described_in_another_way_is_the_same(change: Any, zarr_format: int, tmp_path: Path) -> None:
    decoded = decode_image(described(tmp_path, change, zarr_format), LIMIT, page=1)
    np.testing.assert_array_equal(decoded.image, STACK[0, 1, 1])
    assert decoded.pixel_size_um == pytest.approx(PIXEL_SIZE_UM)
    assert (decoded.channel_names, codes(decoded)) == (NAMES, [])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_sides_may_have_units_of_their_own(zarr_format: int, tmp_path: Path) -> None:
    def in_um(said: dict[str, Any]) -> None:
        said["multiscales"][0]["axes"][3]["unit"] = "micrometer"
        for level in said["multiscales"][0]["datasets"]:
            level["coordinateTransformations"][0]["scale"][3] /= 1000

    assert decode_image(described(tmp_path, in_um, zarr_format), LIMIT).pixel_size_um == pytest.approx(PIXEL_SIZE_UM)


def without_scale(said: dict[str, Any]) -> None:
    del said["multiscales"][0]["datasets"][0]["coordinateTransformations"]


def as_version_3(said: dict[str, Any]) -> None:
    without_scale(said)
    said["multiscales"][0]["axes"] = list("tczyx")


@pytest.mark.parametrize("change", [without_scale, as_version_3])
def test_a_store_without_a_scale_has_no_pixel_size(change: Any, tmp_path: Path) -> None:
    decoded = decode_image(described(tmp_path, change), LIMIT, page=1)
    np.testing.assert_array_equal(decoded.image, STACK[0, 1, 1])
    assert (decoded.pixel_size_um, codes(decoded)) == (None, [])


def test_a_store_of_the_first_version_is_read(tmp_path: Path) -> None:
    def as_version_1(said: dict[str, Any]) -> None:
        without_scale(said)
        del said["multiscales"][0]["axes"]

    decoded = decode_image(described(tmp_path, as_version_1), LIMIT, page=1)
    np.testing.assert_array_equal(decoded.image, STACK[0, 1, 1])
    assert codes(decoded) == ["axes_assumed"]


@pytest.mark.parametrize("names", [NAMES[1:], (*NAMES, "Cy5")])
def test_more_or_fewer_names_than_channels_are_told(names: tuple[str, ...], tmp_path: Path) -> None:
    def rename(said: dict[str, Any]) -> None:
        said["omero"]["channels"] = [{"label": name} for name in names]

    decoded = decode_image(described(tmp_path, rename), LIMIT, 1, 1)
    np.testing.assert_array_equal(decoded.image, STACK[0, 1, 1])
    assert decoded.channel_names == (*names, "")[: len(NAMES)]
    assert codes(decoded) == ["metadata_unreadable"]


def test_the_finest_level_is_read_wherever_it_is_listed(tmp_path: Path) -> None:
    decoded = decode_image(
        described(tmp_path, lambda said: said["multiscales"][0]["datasets"].reverse()), LIMIT, page=1
    )
    np.testing.assert_array_equal(decoded.image, STACK[0, 1, 1])
    assert decoded.pixel_size_um == pytest.approx(PIXEL_SIZE_UM)


def test_an_axis_of_an_unusual_name_is_read_as_pages(tmp_path: Path) -> None:
    store = bio_files.ome_zarr(tmp_path / "a.zarr", STACK, axes_names=["v", "c", "z", "y", "x"])
    decoded = decode_image(zipped(store), LIMIT, page=5)
    np.testing.assert_array_equal(decoded.image, STACK[1, 2, 1])
    assert codes(decoded) == ["axes_assumed"]
    assert "axis V of 2" in decoded.warnings[0].message


@pytest.mark.parametrize("file_format", bio.READERS)
def test_without_the_extra_it_is_said_how_to_install_it(file_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    start = {"CZI": b"ZISRAWFILE", "ND2": b"\xda\xce\xbe\x0a", "LIF": b"\x70\0\0\0", "OME-Zarr": b"PK\3\4"}[file_format]
    with pytest.raises(UnsupportedImageError, match=rf"{file_format}, which takes .*`scripts/install bio`"):
        decode_image(start + bytes(100), LIMIT)


@pytest.mark.parametrize("kind", ["CZI", "CZI, zstd", "CZI, tiles", "ND2", "LIF", "OME-Zarr 0.4", "OME-Zarr 0.5"])
def test_damaged_files_are_refused_or_read(kind: str, tmp_path: Path, decoders: DecodeProcesses) -> None:
    data = WRITERS[kind](tmp_path, STACK[:1, :1])
    for part in (0.1, 0.5, 0.95):
        with pytest.raises(UnreadableImageError, match="is damaged or incomplete"):
            decoders.call(decode_image, data[: int(part * len(data))], LIMIT, 0)
    used = [index for index, value in enumerate(data) if value and index > 10]
    draw = random.Random(0)
    for _ in range(15):
        damaged = bytearray(data)
        for _ in range(3):
            damaged[draw.choice(used)] ^= 1 << draw.randrange(8)
        with suppress(KaryometerError):
            assert decoders.call(decode_image, bytes(damaged), LIMIT, 0).image.size


def bomb(n_files: int, n_bytes: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(n_files):
            archive.writestr(str(number), bytes(n_bytes))
    return buffer.getvalue()


def test_zips_that_are_no_image_or_a_bomb_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for data, sentence in (
        (bomb(1, 10), "zip without an OME-Zarr image"),
        (bomb(1, 9 * LIMIT), "a zip of 1 files with 9000000 bytes, which is more than is read"),
        (bomb(10, 7 * LIMIT), "a zip of 10 files with 70000000 bytes"),
    ):
        with pytest.raises(UnsupportedImageError, match=sentence):
            decode_image(data, LIMIT)
    path = tmp_path / "many.zip"
    path.write_bytes(bomb(20, 1))
    monkeypatch.setattr(bio_header, "MAX_MEMBERS", 10)
    with pytest.raises(UnsupportedImageError, match="a zip of 20 files"):
        bio.lay_out(path, "OME-Zarr", "image", LIMIT)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"compressor": {"id": "base64"}}, UnsupportedImageError, "compressed with base64"),
        ({"chunks": [1, 1, 1, 10_000, 10_000]}, UnsupportedImageError, "1 x 1 x 1 x 10000 x 10000 pixels"),
        ({"shape": [1, 1, 1, 2000, 3000]}, ImageTooLargeError, "2000 x 3000 pixels"),
        ({"shape": [1, 1, 20_000, 16, 20], "chunks": [1, 1, 20_000, 16, 20]}, UnreadableImageError, "damaged"),
        ({"shape": [1, 9, 1, 16, 20]}, UnsupportedImageError, "9 channels, the limit is 8"),
        ({"dtype": "<c8", "fill_value": [0.0, 0.0]}, UnsupportedImageError, "complex64"),
        (
            {"filters": [{"id": "vlen-utf8"}, {"id": "pickle"}], "dtype": "|O"},
            UnsupportedImageError,
            "pickle, vlen-utf8",
        ),
    ],
)
def test_stores_that_promise_too_much_are_refused(
    change: dict, error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    def promising(name: str, content: bytes) -> bytes:
        return json.dumps(json.loads(content) | change).encode() if name == "0/.zarray" else content

    store = zipped(bio_files.ome_zarr(tmp_path / "a.zarr", STACK[:1, :1], zarr_format=2))
    with pytest.raises(error, match=sentence):
        decode_image(changed(store, promising), LIMIT, 0)


@pytest.mark.parametrize("path", ["../../secret", "/etc", "0/../../secret"])
def test_stores_lead_nowhere_else(path: str, tmp_path: Path) -> None:
    def leading(_: str, content: bytes) -> bytes:
        return content.replace(b'"path": "0"', json.dumps({"path": path})[1:-1].encode())

    store = zipped(bio_files.ome_zarr(tmp_path / "a.zarr", STACK, zarr_format=2))
    assert changed(store, leading) != store
    with pytest.raises(UnreadableImageError):
        decode_image(changed(store, leading), LIMIT)


def test_lif_files_lead_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "other.lif").write_bytes(bio_files.lif(STACK))
    reference = f'<Reference File="{tmp_path / "other.lif"}"/>'
    with pytest.raises(UnsupportedImageError, match="refers to other files"):
        decode_image(bio_files.lif(STACK, elements=reference), LIMIT)


def test_a_lif_that_promises_more_than_it_has_is_damaged() -> None:
    with pytest.raises(UnreadableImageError):
        decode_image(bio_files.lif(STACK[:, :, :, :8]).replace("8".encode("utf-16-le"), "9".encode("utf-16-le")), LIMIT)


def test_the_service_reads_them(client: TestClient) -> None:
    nuclei = picture(discs((40, 50), (20, 10, 6), (20, 35, 6)))
    stack = np.stack([nuclei[::-1] // 2, nuclei]).astype(np.uint16)[np.newaxis, np.newaxis]
    answer = client.post("/segment", files={"image": ("plate.czi", bio_files.czi(stack))}).json()
    assert answer["count"] == 2
    assert answer["image"]["channel_names"] == list(NAMES)
    assert answer["image"]["channel"] == 1
    assert answer["image"]["pixel_size_um"] == pytest.approx(PIXEL_SIZE_UM)
    refused = client.post("/segment", files={"image": ("plate.czi", bio_files.czi(stack)[:300])})
    assert (refused.status_code, refused.json()["code"]) == (400, "unreadable_image")


def test_a_full_disk_is_no_damage_of_the_image() -> None:
    data = bio_files.lif(np.zeros((1, 1, 1, 40, 50), np.uint8), names=NAMES[:1])
    decoders = DecodeProcesses(1, 4 * 2**30, 60)
    try:
        # No file may become larger, which has the effect of a full disk, and that for root too.
        decoders.call(resource.setrlimit, resource.RLIMIT_FSIZE, (len(data) - 1, len(data)))
        with pytest.raises(NoRoomError, match="cannot write its temporary files"):
            decoders.call(decode_image, data, 10**6)
        decoders.call(resource.setrlimit, resource.RLIMIT_FSIZE, (len(data), len(data)))
        assert decoders.call(decode_image, data, 10**6).image.shape == (40, 50)
    finally:
        decoders.close()
