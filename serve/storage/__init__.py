"""Where finished images lie: the `ObjectStore` of `serve.interfaces`, on S3 and in memory."""

from serve.storage.memory import MemoryStore
from serve.storage.s3 import Encryption, S3Store, s3_client

__all__ = ["Encryption", "MemoryStore", "S3Store", "s3_client"]
