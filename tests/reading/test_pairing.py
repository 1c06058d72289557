from pathlib import Path

import pytest

from app.errors import OptionError
from app.reading.pairing import Pairs, pair_masks
from app.reading.sources import Source


def sources(folder: str, *names: str) -> list[Source]:
    return [Source(Path("/data") / folder / name, name) for name in names]


def named(paired: Pairs) -> dict[str, str]:
    return {image.name: mask.name for image, mask in paired.pairs}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a.tif", "a.png"),
        ("a.TIF", "a.tiff"),
        ("a.ome.tif", "a.png"),
        ("a.png", "a.ome.tiff"),
        ("a.tif", "a_cp_masks.png"),
        ("a.tif", "a_masks.tif"),
        ("001_img.png", "001_masks.png"),
        ("image_01.png", "mask_01.png"),
        ("img-01.png", "labels-01.png"),
        ("image_01.png", "image_01_mask.png"),
        ("a.tif", "a_mask.tif"),
        ("a.tif", "a-labels.tif"),
        ("a.tif", "a-lbl.tif"),
        ("a.tif", "Mask of a.tif"),
        ("a.tif", "Count Masks of a.tif"),
        ("a.tif", "a.labels.tif"),
        ("a.tif", "a.tif.labels.tif"),
        ("a.tif", "a_GT.png"),
        ("labels.tif", "labels.png"),
        ("w1.5x.tif", "w1.5x_mask.tif"),
        ("day 1/a.tif", "day 1/a_mask.tif"),
        # One accent, written in both ways that there are.
        ("\u00e9.tif", "e\u0301.tif"),
    ],
)
def test_masks_are_known_by_the_names_that_programs_give_them(image: str, mask: str) -> None:
    others = sources("masks", "b.png", "day 2/a.png", "ab_mask.png", "a_b.tif")
    assert named(pair_masks(sources("images", image), [*sources("masks", mask), *others])) == {image: mask}


def test_labels_come_before_masks_and_these_before_copies_of_the_image() -> None:
    names = ["a.tif", "a.tif.mask.png", "a.tif.labels.tif", "a.tif.overlay.png"]
    for n_names, expected in ((1, "a.tif"), (2, "a.tif.mask.png"), (4, "a.tif.labels.tif")):
        paired = pair_masks(sources("images", "a.tif"), sources("masks", *names[:n_names]))
        assert named(paired) == {"a.tif": expected}
    assert [mask.name for mask in paired.unused] == ["a.tif", "a.tif.mask.png", "a.tif.overlay.png"]


def test_images_that_share_a_name_have_their_own_masks() -> None:
    images = sources("images", "a.tif", "a.png")
    for masks in (["a.tif.labels.tif", "a.png.labels.tif"], ["a.tif", "a.png"]):
        assert named(pair_masks(images, sources("masks", *masks))) == dict(zip(["a.tif", "a.png"], masks))
    with pytest.raises(OptionError, match=r"a\.png is the mask of other images too"):
        pair_masks(images, sources("masks", "a.png"))


def test_images_and_masks_may_lie_in_one_folder() -> None:
    together = sources("data", "a.tif", "a_cp_masks.png", "b.tif", "b.png", "b_mask.png", "c.tif", "c.png")
    paired = pair_masks(together, together)
    assert named(paired) == {"a.tif": "a_cp_masks.png"}
    assert [failure.name for failure in paired.failures] == ["b.tif", "b.png"]
    assert [mask.name for mask in paired.unused] == ["b.tif", "b.png", "c.tif", "c.png"]
    below = [*sources("data", "a.tif"), Source(Path("/data/data/masks/a.png"), "masks/a.png")]
    paired = pair_masks(below, sources("data/masks", "a.png"))
    assert (named(paired), paired.failures) == ({"a.tif": "a.png"}, ())


def test_images_without_a_mask_are_named_and_masks_without_an_image_too() -> None:
    paired = pair_masks(
        sources("images", "a.tif", "b.tif", "c.tif"), sources("masks", "a.png", "c.png", "c.tiff", "d.png")
    )
    assert named(paired) == {"a.tif": "a.png"}
    assert paired.failures == (
        ("b.tif", "It has no mask of its name."),
        ("c.tif", "c.png and c.tiff could be its mask; give each image one."),
    )
    assert [mask.name for mask in paired.unused] == ["d.png"]


def test_two_files_belong_together_whatever_they_are_called() -> None:
    image, mask = sources("images", "a.tif"), sources("masks", "truth.png")
    assert named(pair_masks(image, mask, are_files=True)) == {"a.tif": "truth.png"}
    with pytest.raises(OptionError, match=r"No image has a mask of its own\. A mask has the name of its image"):
        pair_masks(image, mask)
