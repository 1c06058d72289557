"""From the bytes of an image to labelled, measured nuclei. `pipeline.py` tells the whole story."""
