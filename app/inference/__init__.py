"""An image to a network's predictions."""
