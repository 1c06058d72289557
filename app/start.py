"""What every entry point and worker starts with: the engine that the settings ask for."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from app.engine.engine import Engine, Limits
from app.reading.isolation import DecodeProcesses
from app.settings import Settings


@contextmanager
def open_engine(
    settings: Settings, n_decoders: int, model: Path | None = None, n_threads: int | None = None
) -> Iterator[Engine]:
    """The engine with a model, which is the settings' unless another is named, and decoders in processes of their own.

    Parameters
    ----------
    settings, model
        Which model, where, and how large images may be.
    n_decoders
        How many decoders.
    n_threads
        On how many cores of a CPU the network computes; all, unless given.

    Raises
    ------
    ModelError, SettingsError
        The model cannot be used, or there is no folder for temporary files.
    """
    limits = Limits(settings.max_pixels, settings.max_streamed_pixels, settings.max_stream_bytes)
    with (
        closing(DecodeProcesses(n_decoders, settings.max_decode_bytes, settings.max_decode_s)) as decoders,
        closing(Engine.load(model or settings.model, settings.device, limits, decoders.call, n_threads)) as engine,
    ):
        yield engine
