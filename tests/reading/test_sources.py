import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import OptionError
from app.reading.result_name import result_name
from app.reading.sources import IMAGE_ENDINGS, RECORD_ENDING, find_images

# Of a file system that takes any bytes but these.
names = (
    st.binary(min_size=1, max_size=30)
    .map(lambda data: data.replace(b"/", b"=").replace(b"\0", b"\xff"))
    .filter(lambda data: data not in (b".", b".."))
    .map(os.fsdecode)
)


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def found(*paths: Path | str) -> list[str]:
    return [source.name for source in find_images([str(path) for path in paths]).images]


@given(names)
def test_names_of_results_are_text_that_every_program_takes(name: str) -> None:
    shown = result_name(name)
    shown.encode()
    assert shown[0] not in "=+-@\t\r\uff1d\uff0b\uff0d\uff20"
    if not any("\udc80" <= character <= "\udcff" for character in name):
        assert PurePosixPath(shown) == PurePosixPath(name)


def test_patterns_files_and_folders_name_images(tmp_path: Path) -> None:
    touch(tmp_path, "cut.png", "a/well1.png", "a/well2.png", "a/b/well2.tif", "a/b/well3.tif")
    assert found(tmp_path / "**" / "well[12].*", tmp_path / "cut.png") == [
        "well1.png",
        "well2.png",
        "well2.tif",
        "cut.png",
    ]
    assert found(tmp_path / "a*") == ["b/well2.tif", "b/well3.tif", "well1.png", "well2.png"]
    assert found(tmp_path / "?" / "w*1.png") == ["well1.png"]


def test_an_image_that_can_be_reached_twice_is_one(tmp_path: Path) -> None:
    touch(tmp_path, "day/a.png", "b.png")
    once = ["b.png", "day/a.png"]
    assert found(tmp_path, tmp_path) == found(tmp_path, tmp_path / "day") == once
    assert found(tmp_path, tmp_path / "day" / "a.png") == found(f"{tmp_path}/**") == once
    touch(tmp_path, "day/notes.txt")
    assert find_images([str(tmp_path), str(tmp_path / "day"), f"{tmp_path}/**"]).left_out == {".txt": 1}


def test_a_folder_gives_every_ending_that_is_read_and_counts_the_others(tmp_path: Path) -> None:
    images = sorted(f"image{ending.upper() if number % 2 else ending}" for number, ending in enumerate(IMAGE_ENDINGS))
    others = ["a.txt", "b.TXT", "a.tif.gz", "archive.zip", "w1.vsi", "LICENCE"]
    thumbnails = ["A01_s1_w1_Thumb.TIF", "A01_s1_w1_thumb1C3B66AB-7F23-4E1A-9D55-0A1B2C3D4E5F.tif"]
    system = [".DS_Store", ".karyometer.lock", "._image.tif", "Thumbs.db", "@eaDir/image.tif", "__MACOSX/._image.tif"]
    touch(tmp_path, *images, *others, *thumbnails, *system, ".hidden.tif", ".Trash/old.tif")
    everything = find_images([str(tmp_path)])
    assert [source.name for source in everything.images] == images
    left_out = {".txt": 2, ".tif.gz": 1, ".zip": 1, ".vsi": 1, "without an ending": 1, "hidden": 2, "thumbnails": 2}
    assert everything.left_out == left_out
    assert everything.told.startswith("Left out: 2 .txt, 2 hidden, 2 thumbnails, 1 .tif.gz")
    # A pattern chooses as a folder does, and what is named is taken.
    assert found(f"{tmp_path}/*.*") == images
    assert found(tmp_path / "w1.vsi", tmp_path / ".hidden.tif") == ["w1.vsi", ".hidden.tif"]


def test_many_endings_are_told_in_short(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", *(f"image.{number:03}" for number in range(20)))
    told = find_images([str(tmp_path)]).told
    assert told.endswith(", 12 others")
    assert len(told) < 120


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "plate/w1.tif", "plate/day1/w2.tif", "elsewhere/w3.tif")
    (tmp_path / "plate" / "day2").symlink_to(tmp_path / "elsewhere")
    # A circle, and a second way to a folder, whose own name is kept.
    (tmp_path / "plate" / "all").symlink_to(tmp_path / "plate")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "plate" / "day1")
    (tmp_path / "plate" / "a copy").symlink_to("day1")
    assert found(tmp_path / "plate") == ["day1/w2.tif", "day2/w3.tif", "w1.tif"]
    assert found(f"{tmp_path}/plate/**/*.tif") == ["w1.tif", "w2.tif", "w3.tif"]


def test_circles_of_links_are_walked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "w1.tif")
    for name in "abc":
        (tmp_path / name).symlink_to(tmp_path)
    n_listed, listed = 0, Path.iterdir

    def iterdir(self: Path) -> Iterator[Path]:
        nonlocal n_listed
        n_listed += 1
        assert n_listed < 5, "without end"
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert found(tmp_path) == ["w1.tif"]
    assert found(f"{tmp_path}/**/*.tif") == ["w1.tif"]


def test_a_pattern_does_not_look_into_a_store(tmp_path: Path) -> None:
    touch(tmp_path, "well.zarr/thumb.png", "day/thumb.png")
    assert found(f"{tmp_path}/*/thumb.png", f"{tmp_path}/**/thumb.png") == ["thumb.png"]
    assert found(tmp_path) == ["day/thumb.png", "well.zarr"]


def test_links_to_nothing_are_images_that_cannot_be_read(tmp_path: Path) -> None:
    touch(tmp_path, "w1.tif")
    (tmp_path / "lost.tif").symlink_to("elsewhere.tif")
    (tmp_path / "round.tif").symlink_to("round.tif")
    (tmp_path / "lost").symlink_to("elsewhere")
    everything = find_images([str(tmp_path)])
    assert [source.name for source in everything.images] == ["lost.tif", "round.tif", "w1.tif"]
    assert everything.left_out == {"without an ending": 1}
    with pytest.raises(OSError, match="symbolic links"):
        everything.images[1].read()


def test_what_would_wait_for_ever_is_no_image(tmp_path: Path) -> None:
    touch(tmp_path, "w1.tif")
    os.mkfifo(tmp_path / "pipe.tif")
    assert found(tmp_path) == ["w1.tif"]
    assert find_images([str(tmp_path)]).left_out == {"that are no files": 1}


def test_folders_that_cannot_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/w1.tif", "b/w2.tif")
    listed = Path.iterdir

    def iterdir(self: Path) -> Iterator[Path]:
        if self.name == "a":
            raise PermissionError(13, "Permission denied")
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    for path in (tmp_path, f"{tmp_path}/**/*.tif"):
        everything = find_images([str(path)])
        assert [source.path for source in everything.images] == [tmp_path / "b" / "w2.tif"]
        assert everything.failures == ((str(tmp_path / "a"), "The folder cannot be read: Permission denied."),)
    with pytest.raises(OptionError, match="The folder cannot be read: Permission denied"):
        find_images([str(tmp_path / "a")])


def test_names_with_brackets_are_no_patterns(tmp_path: Path) -> None:
    touch(tmp_path, "plate [1]/w[2].tif", "plate [1]/w[2]_c1.tif", "plate [1]/w2.tif", "plate 1/w3.tif")
    assert found(f"{tmp_path}/plate [1]/*.tif") == ["w2.tif", "w[2].tif", "w[2]_c1.tif"]
    assert found(f"{tmp_path}/plate ?1?/w[2].tif") == ["w[2].tif"]
    assert found(f"{tmp_path}/plate [1]/w[2]_*.tif") == ["w[2]_c1.tif"]
    assert found(f"{tmp_path}/plate [1-9]/*.tif") == ["w3.tif"]


def test_results_of_an_earlier_run_are_no_images_but_masks(tmp_path: Path) -> None:
    results = ["w1.tif.labels.tif", "w1.tif.mask.png", "w1.tif.overlay.png", f"w1.tif{RECORD_ENDING}"]
    touch(tmp_path, "w1.tif", *(f"old/{name}" for name in results), "old/w1.tif")
    everything = find_images([str(tmp_path)])
    assert [source.name for source in everything.images] == ["old/w1.tif", "w1.tif"]
    assert everything.left_out == {"results of Karyometer": 3, ".json": 1}
    assert len(find_images([str(tmp_path)], results=True).images) == 5


def test_the_folder_of_the_results_holds_no_images(tmp_path: Path) -> None:
    touch(tmp_path, "w1.tif", "results/w1.tif.mask.png")
    (tmp_path / "link").symlink_to("results")
    for path in (tmp_path, f"{tmp_path}/**", f"{tmp_path}/**/*.*"):
        everything = find_images([str(path)], besides=tmp_path / "results")
        assert [source.name for source in everything.images] == ["w1.tif"]
        assert everything.left_out == {}
    for path in (tmp_path / "results", f"{tmp_path}/results/*", f"{tmp_path}/link/*.png"):
        with pytest.raises(OptionError, match="There are no images here"):
            find_images([str(path)], besides=tmp_path / "results")


def test_files_of_one_name_are_refused_unless_they_are_one_file(tmp_path: Path) -> None:
    touch(tmp_path, "a/w.png", "b/w.png")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "w.png").symlink_to(tmp_path / "a" / "w.png")
    with pytest.raises(OptionError, match=r"would both have results named w\.png; name a folder above both"):
        find_images([str(tmp_path / "a"), str(tmp_path / "b")])
    assert found(tmp_path / "a", tmp_path / "c") == ["w.png"]
    # Two names that are told apart by their bytes alone.
    touch(tmp_path / "d", os.fsdecode(b"caf\xe9.tif"), "caf%E9.tif")
    with pytest.raises(OptionError, match="results named caf%E9"):
        find_images([str(tmp_path / "d")])


@pytest.mark.parametrize("path", ["missing*", "missing.tif", "", "w.png/*", "notes/[ab"])
def test_paths_at_which_there_is_nothing_are_refused(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(touch(tmp_path, "w.png", "notes/a.txt"))
    with pytest.raises(OptionError, match="There is nothing at"):
        find_images([path])


def test_no_images_are_refused_with_what_is_there_instead(tmp_path: Path) -> None:
    touch(tmp_path, "a.oib", "b.oib")
    with pytest.raises(OptionError, match=r"There are no images here\. Left out: 2 \.oib\. Karyometer reads \.bmp"):
        find_images([str(tmp_path)])
