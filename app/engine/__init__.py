"""One entry: an image and options in, a result out, whether the image fits into the memory or not."""
