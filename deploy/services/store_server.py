"""What the two local stores share: a server process on a loopback port with one bucket."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from deploy.services.buckets import answers, ensure_bucket, s3_client
from deploy.services.interface import Endpoints
from deploy.services.ports import accepts, free_ports, require_free
from deploy.services.processes import Child, ProcessRecord
from deploy.settings import DeploySettings


class StoreServer:
    """An S3 server as a child process. Subclasses say how it is started."""

    name = "store"

    def __init__(self, folder: Path, settings: DeploySettings, *, leash: bool = True) -> None:
        self.folder = folder.absolute()
        self.settings = settings
        self.port = 0
        self._leash = leash
        self._child: Child | None = None

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        """The command line and the environment of a server on `self.port`."""
        raise NotImplementedError

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and make the bucket."""
        # The same port when started again, so that clients find it.
        self.port = self.port or free_ports(1)[0]
        require_free(self.port, "the store")
        command, env = self.command()
        self._child = Child(self.name, command, env=env, log=self.folder / "store.log", leash=self._leash)
        client = s3_client(self.endpoint, self.settings.access_key, self.settings.secret_key, self.settings.region)
        self._child.start()
        self._child.wait_ready(lambda: accepts(self.port) and answers(client), self.settings.start_timeout_s)
        ensure_bucket(client, self.settings.bucket)

    def stop(self) -> None:
        """Stop it; the objects stay in the folder."""
        if self._child is not None:
            self._child.stop(self.settings.stop_timeout_s)

    def healthy(self) -> bool:
        """Whether it listens."""
        return self.port != 0 and accepts(self.port)

    def processes(self) -> Sequence[ProcessRecord]:
        """The server."""
        return [self._child.record] if self._child and self._child.record else []

    def describe(self, endpoints: Endpoints) -> Endpoints:
        """Add address, credentials and bucket."""
        return replace(
            endpoints,
            s3_endpoint=self.endpoint,
            access_key=self.settings.access_key,
            secret_key=self.settings.secret_key,
            region=self.settings.region,
            bucket=self.settings.bucket,
        )
