"""Karyometer: counts and measures cell nuclei in microscope images, over HTTP."""

__version__ = "0.1.0"
