"""The command `karyometer`."""

import argparse
import logging
import sys
from collections.abc import Sequence

import uvicorn

from app import __version__
from app.errors import SettingsError
from app.main import create_app
from app.settings import Settings

logger = logging.getLogger(__name__)

WRONG_SETTINGS = 2
SHUTDOWN_S = 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="karyometer", description="Counts and measures cell nuclei.")
    parser.add_argument("--version", action="version", version=f"karyometer {__version__}")
    commands = parser.add_subparsers(required=True, metavar="{serve}")
    serve = commands.add_parser(
        "serve",
        help="start the service",
        description="Start the service. Settings come from the environment: "
        + "; ".join(f"KARYOMETER_{name.upper()}, {field.description}" for name, field in Settings.model_fields.items())
        + ".",
    )
    serve.set_defaults(command=_serve)
    exit_code: int = parser.parse_args(arguments).command()
    return exit_code


def _serve() -> int:
    try:
        settings = Settings.from_environment()
    except SettingsError as exc:
        logger.error("%s", exc)
        return WRONG_SETTINGS
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        lifespan="on",
        timeout_graceful_shutdown=SHUTDOWN_S,
        server_header=False,
    )
    # Leaves with exit code 3 where the model is refused.
    uvicorn.Server(config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
