"""What the routes of experiments ask for: the store, whose experiment it is, and how it is."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request

from app.api.dependencies import EngineDependency
from app.engine.engine import Engine
from app.errors import NotReadyError, SettingsError
from app.experiments.experiment import Experiment
from app.experiments.opened import coordinated, open_store
from app.experiments.store import Store
from app.experiments.worker import Maker
from app.logs import RequestRecord, request_record
from app.settings import Settings

if TYPE_CHECKING:
    from app.experiments.cluster import Cluster


class Experiments:
    """The store and the coordinator of one app, opened when they are first asked for.

    Parameters
    ----------
    settings
        Where the experiments are.
    start_cluster
        Makes the workers, for tests; else as the settings say.
    """

    def __init__(self, settings: Settings, start_cluster: "Callable[[], Cluster] | None" = None) -> None:
        self._settings = settings
        self._start_cluster = start_cluster
        self._held = ExitStack()
        self._store: Store | None = None
        self._lock = Lock()

    @property
    def are_there(self) -> bool:
        """Whether there may be experiments that were begun earlier."""
        return self._settings.database_url is not None or self._settings.data.is_dir()

    def open(self, engine: Engine) -> Store:
        """The store, whose images are measured from now on.

        Raises
        ------
        SettingsError
            It cannot be opened.
        """
        with self._lock:
            if self._store is None:
                self._store = self._open(engine)
            return self._store

    def _open(self, engine: Engine) -> Store:
        # What was opened is closed again where the rest fails.
        opening = ExitStack()
        with opening:
            store: Store = opening.enter_context(open_store(self._settings))
            opening.enter_context(coordinated(self._settings, store, Maker.of(engine.model), self._start_cluster))
            self._held = opening.pop_all()
        return store

    @property
    def opened(self) -> Store | None:
        """The store, if it has been asked for."""
        return self._store

    def close(self) -> None:
        """Stop measuring; what was begun goes on with the next start."""
        self._held.close()


async def get_store(request: Request, engine: EngineDependency) -> Store:
    """The store of experiments.

    Raises
    ------
    NotReadyError
        It cannot be opened.
    """
    experiments: Experiments = request.app.state.experiments
    try:
        store = experiments.opened
        return await asyncio.to_thread(experiments.open, engine) if store is None else store
    except SettingsError as exc:
        raise NotReadyError(str(exc)) from exc


async def get_owner() -> str:
    """The name of the key that asks; empty where nobody needs one."""
    return request_record.get(RequestRecord()).key or ""


StoreDependency = Annotated[Store, Depends(get_store)]
OwnerDependency = Annotated[str, Depends(get_owner)]


async def get_mine(experiment_id: str, store: StoreDependency, owner: OwnerDependency) -> Experiment:
    """An experiment of whoever asks.

    Raises
    ------
    NoSuchError
        There is none of this ID, or it is another's.
    """
    return await asyncio.to_thread(store.experiment, experiment_id, owner)


MineDependency = Annotated[Experiment, Depends(get_mine)]


def status_of(store: Store, experiment: Experiment, engine: Engine) -> dict[str, Any]:
    """The fields of `ExperimentStatus`."""
    progress = store.progress(experiment.id)
    return {
        "id": experiment.id,
        "name": experiment.name,
        "state": progress.state,
        "created": datetime.fromtimestamp(experiment.created, UTC).isoformat(timespec="seconds"),
        "is_started": experiment.is_started,
        "model": experiment.maker.model,
        "karyometer": experiment.maker.karyometer,
        "options": experiment.options.model_dump(),
        "nuclear_channel": experiment.nuclear_channel or experiment.notes.get("nuclear_channel"),
        "layout": experiment.layout_name or experiment.layout_sha256,
        "n_files": progress.n_files,
        "images": progress.n_images,
        "images_per_minute": progress.images_per_minute,
        "seconds_left": progress.seconds_left,
        "warnings": _warnings(experiment, engine),
        "understood": {name: value for name, value in experiment.notes.items() if name != "warnings"},
    }


def _warnings(experiment: Experiment, engine: Engine) -> list[dict[str, str]]:
    told = [experiment.problem] if experiment.problem else []
    if experiment.maker != Maker.of(engine.model):
        maker = experiment.maker
        message = (
            f"It was begun with the model {maker.model} ({maker.dtype}) of Karyometer {maker.karyometer}, which this "
            "service does not have; its images wait until a service with these runs, or make a new experiment."
        )
        told.append({"code": "model_changed", "message": message})
    return [*told, *experiment.notes.get("warnings", [])]
