"""How the service is set up; read once from the environment, prefix `KARYOMETER_`."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.errors import SettingsError

# What browsers send: no path, and no slash at the end.
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^/\s]+)$")]

# The service and its model without any image, and the smallest tile.
MIN_STREAM_BYTES = 832 * 2**20

DEFAULT_MODEL = Path(__file__).parent.parent / "models" / "fast" / "4"


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
    max_streamed_pixels: int = Field(2**30, gt=0, description="a number of pixels above 0")
    max_stream_bytes: int = Field(
        2 * 2**30,
        ge=MIN_STREAM_BYTES,
        description=f"a number of bytes from {MIN_STREAM_BYTES}, of the memory while a large image is segmented",
    )
    max_decode_bytes: int = Field(4 * 2**30, gt=0, description="a number of bytes above 0, for each decoding process")
    max_decode_s: float = Field(30, gt=0, description="a number of seconds above 0")
    max_transfer_s: float = Field(
        120, gt=0, description="a number of seconds above 0, in which an upload must have come and an answer been taken"
    )
    max_held_bytes: int = Field(2**30, gt=0, description="a number of bytes above 0, of all uploads in memory together")
    max_queued_pixels: int = Field(128_000_000, gt=0, description="a number of pixels above 0, of all that wait")
    max_wait_s: float = Field(60, gt=0, description="a number of seconds above 0")
    api_keys_file: Path | None = Field(None, description="a file with a line NAME:DIGEST for each API key")
    allow_anonymous: bool = Field(
        False, description="true or false, whether requests from other machines may come without API keys"
    )
    pixels_per_minute: int | None = Field(
        None, gt=0, description="a number of pixels above 0 that each API key may have segmented in a minute"
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = Field(
        (), description="origins such as https://lab.example, with commas between, whose pages may ask"
    )

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [origin.strip() for origin in value.split(",") if origin.strip()] if isinstance(value, str) else value

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
