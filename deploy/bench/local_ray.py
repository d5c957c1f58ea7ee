"""A private Ray with Serve for the benches, no HTTP: started for the first that needs it, ends with the process."""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from deploy.errors import ServiceFailed

if TYPE_CHECKING:
    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle

#: The replicas of the benches wait more than they work, and a laptop may have two cores.
LOGICAL_CPUS = 4
_STORE_BYTES = 100_000_000


@contextmanager
def deployed(*apps: "Application") -> Iterator[list["DeploymentHandle[Any]"]]:
    """Run the applications in the benches' Ray and give their handles; delete them after the block."""
    _start()
    from ray import serve  # noqa: PLC0415 - seconds, and most benches need no Ray

    names = [f"bench-{number}" for number in range(len(apps))]
    targets = [serve.RunTarget(target=app, name=name, route_prefix=None) for app, name in zip(apps, names, strict=True)]
    handles = serve.run_many(targets)
    try:
        yield handles
    finally:
        for name in names:
            serve.delete(name)


@cache
def _start() -> None:
    # It must never join a Ray that already runs here.
    os.environ.update({"RAY_USAGE_STATS_ENABLED": "0", "RAY_ADDRESS": "", "RAY_SERVE_LOG_TO_STDERR": "0"})
    import ray  # noqa: PLC0415 - it reads the environment
    from ray import serve  # noqa: PLC0415

    # Ray puts sockets here, and their paths must be short.
    folder = tempfile.mkdtemp(prefix="vt-", dir="/tmp")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        ray.init(
            address="local",
            num_cpus=LOGICAL_CPUS,
            include_dashboard=False,
            object_store_memory=_STORE_BYTES,
            logging_level=logging.ERROR,
            log_to_driver=False,
            _temp_dir=folder,
        )
    except Exception as error:
        # Ray raises a plain Exception here.
        ray.shutdown()
        raise ServiceFailed(f"Ray did not start: {error}") from error
    atexit.register(ray.shutdown)
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    serve.start(proxy_location="Disabled", logging_config={"log_level": "ERROR"})
