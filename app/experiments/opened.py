"""The experiments that the settings say: their store, and the coordinator that measures them."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from app.errors import SettingsError
from app.experiments.database import Database
from app.experiments.files import FileStore
from app.experiments.run import Coordinator
from app.experiments.store import Store
from app.experiments.worker import Maker
from app.settings import Settings

if TYPE_CHECKING:
    from app.experiments.cluster import Cluster


@contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """The store in the folder, and the database, of the settings; both are made if they are missing.

    Raises
    ------
    SettingsError
        They cannot be used.
    """
    folder = settings.data.resolve()
    try:
        files = FileStore(folder / "files")
    except OSError as exc:
        raise SettingsError(
            f"Experiments cannot be kept in {folder}: {exc.strerror}. Set KARYOMETER_DATA to a folder that can be "
            "written to."
        ) from exc
    url = settings.database_url or f"sqlite:///{folder / 'karyometer.sqlite'}"
    with closing(Database(url, folder)) as database:
        yield Store(database, files)


@contextmanager
def coordinated(
    settings: Settings, store: Store, maker: Maker, start_cluster: "Callable[[], Cluster] | None" = None
) -> Iterator[None]:
    """A coordinator that measures meanwhile what the store holds, with that model and version.

    Its workers are those of the settings, unless others are given.
    """
    # Dask takes a second to import.
    from app.experiments.cluster import Cluster

    resolved = settings.model_copy(update={"data": settings.data.resolve(), "model": settings.model.resolve()})
    coordinator = Coordinator(store, maker, start_cluster or partial(Cluster, resolved), settings.keep_days)
    coordinator.start()
    try:
        yield
    finally:
        coordinator.close()
