"""StarDist's `predict_instances` behind FastAPI, to be measured against; needs the extra `peers`.

`python -m benchmarks.stardist_service FOLDER`, of which `benchmarks.stardist` makes one.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image

from app.inference.normalise import normalise
from benchmarks.naive_service import answer
from benchmarks.stardist import load
from training.config import PERCENTILES


def stardist_app(folder: Path) -> FastAPI:
    """`POST /segment` with a mask, a count and a table."""
    app = FastAPI()
    model = load(folder)

    @app.post("/segment")
    def segment(image: UploadFile) -> dict[str, Any]:
        pixels = np.asarray(Image.open(image.file))
        labels = model.predict_instances(normalise(pixels, *PERCENTILES))[0]
        return answer(labels, labels > 0, pixels)

    return app


if __name__ == "__main__":
    uvicorn.run(stardist_app(Path(sys.argv[1])), port=0)
