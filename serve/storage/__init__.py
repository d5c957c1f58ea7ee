"""Where finished images lie: the `ObjectStore` of `serve.interfaces`, on S3 and in memory."""

from serve.storage.memory import MemoryStore
from serve.storage.s3 import S3Store, s3_client

__all__ = ["MemoryStore", "S3Store", "s3_client"]
