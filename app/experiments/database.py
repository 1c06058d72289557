"""The database of experiments: its tables, and transactions on SQLite or PostgreSQL."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from app.errors import SettingsError

# It tells of every start what only its authors want to know.
logging.getLogger("alembic").setLevel(logging.WARNING)

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_S = 30
# Any numbers, the same in every process: who migrates, who coordinates, and who removes files.
_MIGRATING, _COORDINATING, _REMOVING = 7_318_001, 7_318_002, 7_318_003

# In the same order whatever the database's language.
_ORDERED = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData()

experiments = Table(
    "experiments",
    metadata,
    Column("id", String(32), primary_key=True),
    # The name of the API key; empty where nobody needs one.
    Column("owner", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("idempotency_key", String(255)),
    Column("options", Text, nullable=False),
    Column("nuclear_channel", Text),
    Column("model", Text, nullable=False),
    Column("model_sha256", String(64), nullable=False),
    Column("dtype", String(16), nullable=False),
    Column("karyometer", String(32), nullable=False),
    Column("created", Float, nullable=False),
    Column("changed", Float, nullable=False),
    Column("is_started", Boolean, nullable=False),
    Column("is_closed", Boolean, nullable=False),
    Column("is_cancelled", Boolean, nullable=False),
    Column("layout_sha256", String(64)),
    Column("layout_name", Text),
    Column("dose_unit", Text),
    # Whether the channel of the nuclei was only assumed; more files may tell otherwise until it is closed.
    Column("is_assumed", Boolean, nullable=False),
    # Raised by whatever changes which images there are; planned are those of `planned`.
    Column("revision", Integer, nullable=False),
    Column("planned", Integer, nullable=False),
    # What keeps it from being planned, and what the plan left out, as JSON.
    Column("problem", Text),
    Column("notes", Text, nullable=False),
    UniqueConstraint("owner", "idempotency_key"),
)

files = Table(
    "files",
    metadata,
    Column("experiment", String(32), ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sha256", String(64), nullable=False, index=True),
    Column("n_bytes", BigInteger, nullable=False),
    Column("received", Float, nullable=False),
)

results = Table(
    "results",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("labels_key", String(64), nullable=False, index=True),
    Column("labels_sha256", String(64), nullable=False, index=True),
    Column("nuclei_sha256", String(64), nullable=False, index=True),
    Column("count", Integer, nullable=False),
    Column("n_pixels", BigInteger, nullable=False),
    Column("nuclei_columns", Text, nullable=False),
    Column("record", Text, nullable=False),
)

images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("experiment", String(32), ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False),
    Column("image", _ORDERED, nullable=False),
    # Empty is what is not known.
    Column("plate", _ORDERED, nullable=False),
    Column("well", _ORDERED, nullable=False),
    Column("site", _ORDERED, nullable=False),
    Column("plane", _ORDERED, nullable=False),
    # Further channels as JSON: names of the channels and of their files.
    Column("channels", Text, nullable=False),
    # Of the image and of the further channels, as JSON.
    Column("digests", Text, nullable=False),
    Column("labels_key", String(64), nullable=False),
    Column("key", String(64), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    # Attempts in which its worker died.
    Column("n_deaths", Integer, nullable=False),
    Column("error_code", String(64)),
    Column("error", Text),
    Column("finished", Float),
    UniqueConstraint("experiment", "image"),
    Index("ix_images_experiment_state", "experiment", "state"),
)

exclusions = Table(
    "exclusions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("experiment", String(32), ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("plate", Text),
    Column("well", Text),
    Column("image", Text),
    Column("reason", Text, nullable=False),
    Column("created", Float, nullable=False),
)


class Database:
    """Transactions, and the two locks that all processes share.

    Parameters
    ----------
    url
        Of SQLAlchemy: SQLite or PostgreSQL (psycopg).
    folder
        Where SQLite's lock file is.

    Raises
    ------
    SettingsError
        The database cannot be opened; the message is one sentence that says what to do.
    """

    def __init__(self, url: str, folder: Path) -> None:
        try:
            self._is_sqlite = make_url(url).get_backend_name() == "sqlite"
            self._engine = create_engine(url, pool_pre_ping=not self._is_sqlite)
            if self._is_sqlite:
                event.listen(self._engine, "connect", _set_up_sqlite)
                event.listen(self._engine, "begin", _begin_sqlite)
            self._migrate()
        except (SQLAlchemyError, ImportError, OSError) as exc:
            raise SettingsError(
                "The database of experiments cannot be opened; check that KARYOMETER_DATA can be written to, or that "
                "KARYOMETER_DATABASE_URL names a PostgreSQL database that runs."
            ) from exc
        self._lock_path = folder / "coordinator.lock"

    def read(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one state of everything."""
        return self._engine.connect()

    @contextmanager
    def write(self, *, removes_files: bool = False, adds_file: bool = False) -> Iterator[Connection]:
        """A transaction that changes something; committed at its end.

        Those that remove files and those that refer to new ones come one after the other.
        """
        with self._engine.connect().execution_options(is_write=True) as connection, connection.begin():
            if not self._is_sqlite and (removes_files or adds_file):
                shared = "" if removes_files else "_shared"
                connection.execute(text(f"SELECT pg_advisory_xact_lock{shared}({_REMOVING})"))
            yield connection

    def try_to_coordinate(self) -> "Coordination | None":
        """The right to be the one coordinator, which ends with the process at the latest; None if another has it."""
        held = ExitStack()
        if self._is_sqlite:
            number = os.open(self._lock_path, os.O_CREAT | os.O_RDWR, 0o600)
            held.callback(os.close, number)
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                held.close()
                return None
            return Coordination(held, None)
        connection = held.enter_context(self._engine.connect().execution_options(isolation_level="AUTOCOMMIT"))
        if connection.scalar(text(f"SELECT pg_try_advisory_lock({_COORDINATING})")):
            held.callback(connection.invalidate)
            return Coordination(held, connection)
        held.close()
        return None

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def _migrate(self) -> None:
        # Whatever opens no database, such as a worker, starts without what takes long to import.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self.write() as connection:
            if not self._is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATING})"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


class Coordination:
    """The right to be the one coordinator."""

    def __init__(self, held: ExitStack, connection: Connection | None) -> None:
        self._held = held
        self._connection = connection

    def is_held(self) -> bool:
        """Whether it is still held: PostgreSQL gives it to another when the connection breaks."""
        if self._connection is None:
            return True
        try:
            self._connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True

    def close(self) -> None:
        """Leave it to another."""
        self._held.close()


def _set_up_sqlite(connection: Any, _: Any) -> None:
    # Transactions begin where `_begin_sqlite` says, and not where the driver guesses.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={1000 * _BUSY_S}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    is_write = connection.get_execution_options().get("is_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")
