"""How the service is set up; read once from the environment, prefix `KARYOMETER_`."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.errors import KaryometerError, Setting, SettingsError

# What browsers send: no path, and no slash at the end.
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^/\s]+)$")]

# The service and its model without any image, and the smallest tile.
MIN_STREAM_BYTES = 832 * 2**20

# Beside `app`: in a checkout, in the wheel and in the image.
DEFAULT_MODEL = Path(__file__).parent.parent / "models" / "fast" / "7"


# Released variables keep their names.
_OLDER_NAMES: dict[Setting, str] = {
    "max_out_of_core_pixels": "max_streamed_pixels",
    "max_out_of_core_bytes": "max_stream_bytes",
}


class Settings(BaseSettings):
    """Frozen settings; each field's description says which values it takes and, after a colon, what it means.

    Examples
    --------
    >>> Settings(port=9000).port
    9000
    """

    model_config = SettingsConfigDict(env_prefix="KARYOMETER_", frozen=True)

    model: Path = Field(DEFAULT_MODEL, description="a folder: the exported model that finds the nuclei")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|gpu:\d+)$",
        description="auto, cpu or gpu:N: where the network computes; auto is the first NVIDIA GPU, else the CPU",
    )
    host: str = Field(
        "127.0.0.1",
        description="an IP address: the one that the service listens on; 127.0.0.1 is for this machine only, 0.0.0.0 "
        "lets other machines in",
    )
    port: int = Field(
        8000, ge=0, le=65535, description="a port from 0 to 65535: where the service listens; 0 is any free one"
    )
    max_upload_bytes: int = Field(256 * 2**20, gt=0, description="a number of bytes above 0: the largest request")
    max_pixels: int = Field(
        64_000_000, gt=0, description="a number of pixels above 0: the largest image that is held in memory as a whole"
    )
    max_streamed_pixels: int = Field(
        2**30, gt=0, description="a number of pixels above 0: the largest TIFF that is segmented part by part"
    )
    max_stream_bytes: int = Field(
        2 * 2**30,
        ge=MIN_STREAM_BYTES,
        description=f"a number of bytes from {MIN_STREAM_BYTES}: memory of the service while it segments part by part",
    )
    max_decode_bytes: int = Field(
        4 * 2**30, gt=0, description="a number of bytes above 0: memory of each process that reads image files"
    )
    max_decode_s: float = Field(30, gt=0, description="a number of seconds above 0: how long reading one file may take")
    max_transfer_s: float = Field(
        120,
        gt=0,
        description="a number of seconds above 0: how long an upload may take to arrive, and an answer to be fetched",
    )
    max_held_bytes: int = Field(
        2**30,
        gt=0,
        description="a number of bytes above 0: how large all requests that are in work or wait may be together",
    )
    max_queued_pixels: int = Field(
        128_000_000,
        gt=0,
        description="a number of pixels above 0: how large all images that wait may be together; further ones are "
        "told to come later (503 `busy`)",
    )
    max_wait_s: float = Field(
        60, gt=0, description="a number of seconds above 0: how long an image may wait for its turn"
    )
    api_keys_file: Path | None = Field(
        None, description="a file with a line NAME:DIGEST for each API key: who may ask; without it nobody needs a key"
    )
    allow_anonymous: bool = Field(
        False, description="true or false: whether requests from other machines may come without API keys"
    )
    pixels_per_minute: int | None = Field(
        None,
        gt=0,
        description="a number of pixels above 0: what each API key may have segmented in a minute; without keys, all "
        "callers together",
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = Field(
        (),
        description="origins such as https://lab.example, with commas between: web sites whose pages may send "
        "requests to this service from a browser",
    )

    data: Path = Field(
        Path("karyometer-data"),
        description="a folder: where experiments are kept; made if it is missing, and shared with workers elsewhere",
    )
    database_url: str | None = Field(
        None,
        description="an address such as postgresql+psycopg://user:password@host/name: the database of experiments; "
        "without it SQLite in the folder of KARYOMETER_DATA",
    )
    dask_scheduler: str | None = Field(
        None,
        description="an address such as tcp://host:8786: the Dask scheduler whose workers measure experiments; without "
        "it this machine's processes do",
    )
    experiment_workers: int | None = Field(
        None,
        gt=0,
        description="a number above 0: how many processes of this machine measure experiments; without it one a core",
    )
    keep_days: float | None = Field(
        None,
        gt=0,
        description="a number of days above 0: after so long without a change an experiment is deleted; without it "
        "none is",
    )
    max_preview_bytes: int = Field(
        4 * 2**30,
        gt=0,
        description="a number of bytes above 0: how much disk the images take together that were sent to be looked at, "
        "and their pictures; those that were not looked at for longest go first",
    )
    keep_preview_s: float = Field(
        3600,
        gt=0,
        description="a number of seconds above 0: how long an image that was sent to be looked at is kept after "
        "somebody last looked",
    )
    max_archive_bytes: int = Field(
        8 * 2**30,
        gt=0,
        description="a number of bytes above 0: the largest upload of many images to an experiment, and all files of "
        "its zips together",
    )

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [origin.strip() for origin in value.split(",") if origin.strip()] if isinstance(value, str) else value

    @classmethod
    def variable_for(cls, error: KaryometerError) -> str | None:
        """The variable of the environment that sets what the error names, if any.

        Examples
        --------
        >>> Settings.variable_for(KaryometerError("The image is too large.", "max_out_of_core_pixels"))
        'KARYOMETER_MAX_STREAMED_PIXELS'
        """
        if error.setting is None:
            return None
        name = _OLDER_NAMES.get(error.setting, error.setting)
        return f"{cls.model_config['env_prefix']}{name.upper()}"

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
            wanted = (cls.model_fields[name].description or "").partition(": ")[0]
            raise SettingsError(f"KARYOMETER_{name.upper()} has a value it cannot have; set it to {wanted}.") from exc
