"""Run a Serve config in a private Ray: `serve run`, without what a laptop can spare.

    python -m deploy.services.serve_host CONFIG RAY_FOLDER

`serve run` would start Ray with its dashboard, ten more processes. So Ray is started here first, and `serve run` finds
it. SIGTERM and SIGINT stop both; SIGHUP deploys the config once more, as it reads then.
"""

import shutil
import signal
import sys
from contextlib import suppress

import ray
from ray.serve.scripts import cli

#: Pictures travel over HTTP and S3, so a share of the machine's memory would be wasted.
_OBJECT_STORE_BYTES = 300_000_000
_ATTEMPTS = 3


def main(config: str, ray_folder: str) -> None:
    """Start Ray, run the config until a signal comes, stop Ray and remove its folder."""
    try:
        start_ray(ray_folder)
        # `serve run` stops cleanly on KeyboardInterrupt only.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.signal(signal.SIGHUP, lambda *_: deploy_again(config))
        cli(["run", config])
    finally:
        ray.shutdown()
        shutil.rmtree(ray_folder, ignore_errors=True)


def start_ray(ray_folder: str, attempts: int = _ATTEMPTS) -> None:
    """Start a local Ray; again where it is too slow, for its raylet has 30 s, which no setting of Ray changes."""
    for attempt in range(1, attempts + 1):
        try:
            ray.init(
                address="local",
                namespace="serve",
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                _temp_dir=ray_folder,
            )
        except Exception as error:
            # Ray raises a plain Exception here; what it is about stands in the text alone.
            ray.shutdown()
            if attempt == attempts:
                raise
            print(f"Ray did not start (attempt {attempt} of {attempts}): {error}", flush=True)  # noqa: T201
        else:
            return


def deploy_again(config: str) -> None:
    """Hand the config to the Serve that runs; it replaces its replicas one by one if the application changed."""
    try:
        # It ends as a command line does.
        with suppress(SystemExit):
            cli(["run", "--non-blocking", config])
    except Exception as error:  # noqa: BLE001 - what runs shall run on
        print(f"{config} was not deployed again: {error}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
