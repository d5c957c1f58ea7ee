"""The real store: versitygw, an S3 gateway over a plain folder."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.services.store_server import StoreServer
from deploy.services.tools import versitygw


class RealStore(StoreServer):
    """versitygw with its POSIX backend: each object is a file under `objects/BUCKET/KEY`."""

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        """versitygw on loopback."""
        program = versitygw()
        objects = self.folder / "objects"
        objects.mkdir(parents=True, exist_ok=True)
        env = {"ROOT_ACCESS_KEY": self.settings.access_key, "ROOT_SECRET_KEY": self.settings.secret_key}
        listen = ["--port", f"127.0.0.1:{self.port}", "--region", self.settings.region, "--quiet"]
        return [str(program), *listen, "posix", *self._metadata(objects), str(objects)], env

    def _metadata(self, objects: Path) -> list[str]:
        """Where content types and checksums go: into file attributes, or beside the files where those are missing."""
        try:
            os.setxattr(objects, "user.vitrine", b"1")
        except OSError:
            beside = self.folder / "metadata"
            beside.mkdir(exist_ok=True)
            return ["--sidecar", str(beside)]
        return []
