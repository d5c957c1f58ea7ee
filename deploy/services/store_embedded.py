"""The embedded store: ministack, an S3 imitation in Python. Needs no other program."""

import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from deploy.errors import ToolMissing
from deploy.services.store_server import StoreServer


class EmbeddedStore(StoreServer):
    """ministack on loopback; it checks no signature, so it must never listen on another address."""

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        """ministack with everything but S3 switched off, and its objects as files."""
        if find_spec("ministack") is None:
            raise ToolMissing("the embedded store needs the package ministack: pip install 'vitrine[local]'")
        objects = self.folder / "objects"
        objects.mkdir(parents=True, exist_ok=True)
        env = {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "SERVICES": "s3",
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(objects),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.folder / "state"),
            "LOG_LEVEL": "WARNING",
        }
        return [sys.executable, "-m", "ministack"], env
