"""Cuts the real images beside this file out of the public data sets (all CC0).

Command: `python -m tests.data.make_samples dsb2018_stage1_train.zip bbbc039.zip`. The images are of the test split
(Data Science Bowl) and of the validation list (BBBC039); each has its label image beside it.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import tifffile

from training.dataset import Sample, find_samples

FOLDER = Path(__file__).parent
CROP = np.s_[:256, :320]
CHOSEN = {
    "fluorescence.png": "2f929b067a59",
    "histology.png": "e414b54f2036",
    "brightfield.png": "8d05fb18ee0c",
    "bbbc039.tif": "IXMtest_A02_s1_",
}


def main() -> None:
    """Write every chosen image, uncropped where it is small, and its labels."""
    samples = find_samples(map(Path, sys.argv[1:]))
    for name, start in CHOSEN.items():
        sample = next(sample for sample in samples if sample.image_id.startswith(start))
        write(sample, FOLDER / name)


def write(sample: Sample, path: Path) -> None:
    """Write the image as PNG or TIFF, as its suffix says, and `<stem>_labels.png`."""
    image = sample.image()
    cropped = sample.labels(image.shape[:2])[CROP]
    labels = np.unique(cropped, return_inverse=True)[1].reshape(cropped.shape)
    if path.suffix == ".tif":
        tifffile.imwrite(path, image[CROP], compression="zlib")
    else:
        cv2.imwrite(str(path), cv2.cvtColor(image[CROP], cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(path.with_name(f"{path.stem}_labels.png")), labels.astype(np.uint16))


if __name__ == "__main__":
    main()
