"""Starts a Dask scheduler here, and workers as jobs of Slurm, until it is stopped; docs/experiments.md says how.

It needs the extra `slurm`. What differs between clusters, such as partitions and accounts, is given as directives:
`--directive=--partition=cpu --directive=--account=lab`.
"""

import argparse
import logging
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import dask
from dask_jobqueue import SLURMCluster
from distributed import Security

logger = logging.getLogger("cluster")

CONFIGURATION: dict[str, Any] = {
    # Workers read files in processes of their own.
    "distributed.worker.daemon": False,
    # Karyometer itself counts how often an image has killed its worker.
    "distributed.scheduler.allowed-failures": 0,
    # They would show other users of the machine what is done.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


def main() -> None:
    """Keep the jobs running."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="where the experiments are kept")
    parser.add_argument("--tls", type=Path, required=True, metavar="FOLDER", help="made by deploy/certificates")
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="how many jobs (%(default)s)")
    parser.add_argument("--workers", type=int, default=8, metavar="N", help="workers, and cores, a job (%(default)s)")
    parser.add_argument("--memory", default="24GB", help="of a job (%(default)s)")
    parser.add_argument(
        "--walltime", default="08:00:00", help="after which a job ends and another begins (%(default)s)"
    )
    parser.add_argument("--interface", metavar="NAME", help="the network that the nodes share, such as ib0")
    parser.add_argument("--port", type=int, default=8786, help="where the scheduler listens (%(default)s)")
    parser.add_argument("--directive", action="append", default=[], help="a line for #SBATCH; repeatable")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    dask.config.set(CONFIGURATION)
    with cluster(options) as running:
        # Jobs that end are replaced. Karyometer gives only as much work as there are workers, so that their number
        # cannot follow from the work.
        running.adapt(minimum_jobs=options.jobs, maximum_jobs=options.jobs)
        logger.info("KARYOMETER_DASK_SCHEDULER=%s", running.scheduler_address)
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        stopped.wait()


def cluster(options: argparse.Namespace) -> SLURMCluster:
    """The scheduler, and what its jobs are."""
    certificate, key = str(options.tls.resolve() / "tls.crt"), str(options.tls.resolve() / "tls.key")
    security = Security(
        require_encryption=True,
        tls_ca_file=str(options.tls.resolve() / "ca.crt"),
        **{f"tls_{role}_cert": certificate for role in ("scheduler", "worker", "client")},
        **{f"tls_{role}_key": key for role in ("scheduler", "worker", "client")},
    )
    variables = {f"DASK_{name.replace('.', '__').replace('-', '_').upper()}": it for name, it in CONFIGURATION.items()}
    variables["KARYOMETER_DATA"] = options.data.resolve()
    return SLURMCluster(
        cores=options.workers,
        processes=options.workers,
        memory=options.memory,
        walltime=options.walltime,
        interface=options.interface,
        security=security,
        python=sys.executable,
        scheduler_options={"port": options.port, "dashboard": False, "dashboard_address": "127.0.0.1:0"},
        # Slurm bounds a job's memory. Dask would end a worker for a share of it.
        worker_extra_args=["--memory-limit", "0", "--no-dashboard"],
        job_script_prologue=[f"export {name}={shlex.quote(str(it))}" for name, it in variables.items()],
        job_extra_directives=options.directive,
    )


if __name__ == "__main__":
    main()
