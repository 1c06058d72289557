"""Cuts the images beside this file out of two packages' wheels; README.md says where they come from.

Command: `pip download --no-deps stardist==0.9.2 scikit-image==0.26.0`, then `python -m tests.data.make_samples *.whl`.
"""

import io
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

FOLDER = Path(__file__).parent
STARDIST, SCIKIT_IMAGE = "stardist/data/images", "skimage/data"
# Where nuclei touch.
FIELD = np.s_[256:512, :320]
# From 8 bits to 12, as cameras have: in a file of 16 bits, 8 would be of low contrast.
SCALE = np.uint16(16)
# Half of it a gland whose cells are brown, half of it tissue whose nuclei are blue.
TISSUE = np.s_[160:416, 150:406]


def main() -> None:
    """Write every image."""
    files: dict[str, bytes] = {}
    for wheel in sys.argv[1:]:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.startswith((STARDIST, SCIKIT_IMAGE))]
            files |= {name: archive.read(name) for name in names}

    field = tifffile.imread(io.BytesIO(files[f"{STARDIST}/img2d.tif"]))[FIELD]
    tifffile.imwrite(FOLDER / "fluorescence.tif", field * SCALE, compression="zlib", predictor=True)
    labels = tifffile.imread(io.BytesIO(files[f"{STARDIST}/mask2d.tif"]))[FIELD]
    numbered = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    cv2.imwrite(str(FOLDER / "fluorescence_labels.png"), numbered.astype(np.uint16))

    (FOLDER / "histology.jpg").write_bytes(files[f"{STARDIST}/histo.jpg"])

    with Image.open(io.BytesIO(files[f"{SCIKIT_IMAGE}/ihc.png"])) as tissue:
        Image.fromarray(np.asarray(tissue)[TISSUE]).save(FOLDER / "immunohistochemistry.png", optimize=True)


if __name__ == "__main__":
    main()
