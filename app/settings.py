"""How the service is set up; read once from the environment, prefix `KARYOMETER_`."""

from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.errors import SettingsError

DEFAULT_MODEL = Path(__file__).parent.parent / "models" / "fast" / "2"


class Settings(BaseSettings):
    """Frozen settings; each field's description says which values it takes.

    Examples
    --------
    >>> Settings(port=9000).port
    9000
    """

    model_config = SettingsConfigDict(env_prefix="KARYOMETER_", frozen=True)

    model: Path = Field(DEFAULT_MODEL, description="the folder of an exported model")
    device: str = Field("auto", pattern=r"^(auto|cpu|gpu:\d+)$", description="auto, cpu or gpu:N")
    host: str = Field("127.0.0.1", description="the address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="a port from 0 to 65535, 0 for any free one")
    max_upload_bytes: int = Field(256 * 2**20, gt=0, description="a number of bytes above 0")
    max_pixels: int = Field(64_000_000, gt=0, description="a number of pixels above 0")
    max_decode_bytes: int = Field(4 * 2**30, gt=0, description="a number of bytes above 0, for each decoding process")
    max_decode_s: float = Field(30, gt=0, description="a number of seconds above 0")
    max_held_bytes: int = Field(2**30, gt=0, description="a number of bytes above 0, of all uploads in memory together")
    max_queued_pixels: int = Field(128_000_000, gt=0, description="a number of pixels above 0, of all that wait")
    max_wait_s: float = Field(60, gt=0, description="a number of seconds above 0")

    @classmethod
    def from_environment(cls) -> Self:
        """Read the environment.

        Raises
        ------
        SettingsError
            A variable has a value that it cannot have; the message names it and what it takes.
        """
        try:
            return cls()
        except ValidationError as exc:
            name = str(exc.errors()[0]["loc"][0])
            wanted = cls.model_fields[name].description
            raise SettingsError(f"KARYOMETER_{name.upper()} has a value it cannot have; set it to {wanted}.") from exc
