"""The service that most people write first, to be measured against: one `model.predict` an upload, the whole image."""

import base64
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, UploadFile
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import label, regionprops_table

COLUMNS = ("label", "area", "centroid", "perimeter", "eccentricity", "solidity", "mean_intensity")


def answer(labels: NDArray[Any], mask: NDArray[Any], intensities: NDArray[Any]) -> dict[str, Any]:
    """The count, the mask and the table."""
    encoded = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(encoded, "PNG")
    table = regionprops_table(labels, intensities, properties=COLUMNS)
    return {
        "count": int(labels.max()),
        "mask": base64.b64encode(encoded.getvalue()).decode(),
        "nuclei": {name: values.tolist() for name, values in table.items()},
    }


def naive_app(folder: Path) -> FastAPI:
    """`POST /segment` with a mask, a count and a table of touching nuclei that stay together."""
    import keras

    app = FastAPI()
    image = keras.Input((None, None, 3))
    outputs = keras.layers.TFSMLayer(str(folder), call_endpoint="serving_default")(image)
    model = keras.Model(image, outputs["probability"])

    @app.post("/segment")
    def segment(image: UploadFile) -> dict[str, Any]:
        grey = np.asarray(Image.open(image.file), np.float32)
        grey = (grey - grey.min()) / (np.ptp(grey) or 1)
        probability = model.predict(np.repeat(grey[np.newaxis, ..., np.newaxis], 3, axis=3), verbose=0)[0, ..., 0]
        mask = probability > 0.5
        return answer(label(mask), mask, grey)

    return app


if __name__ == "__main__":
    uvicorn.run(naive_app(Path(sys.argv[1])), port=0)
