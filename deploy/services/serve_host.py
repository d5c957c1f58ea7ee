"""Run a Serve config in a private Ray: `serve run`, without what a laptop can spare.

    python -m deploy.services.serve_host CONFIG RAY_FOLDER

`serve run` would start Ray with its dashboard, ten more processes. So Ray is started here first, and `serve run` finds
it. SIGTERM and SIGINT stop both.
"""

import shutil
import signal
import sys

import ray
from ray.serve.scripts import cli

#: Pictures travel over HTTP and S3, so a share of the machine's memory would be wasted.
_OBJECT_STORE_BYTES = 300_000_000


def main(config: str, ray_folder: str) -> None:
    """Start Ray, run the config until a signal comes, stop Ray and remove its folder."""
    try:
        ray.init(
            address="local",
            namespace="serve",
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            _temp_dir=ray_folder,
        )
        # `serve run` stops cleanly on KeyboardInterrupt only.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        cli(["run", config])
    finally:
        ray.shutdown()
        shutil.rmtree(ray_folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
