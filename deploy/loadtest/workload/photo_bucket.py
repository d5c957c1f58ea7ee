"""Photos in a bucket, for runs in which Serve fetches from `s3://`: a bounded number, put there beforehand."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError, ClientError

from deploy.errors import ServiceFailed
from deploy.loadtest.workload.photo_bytes import JPEG, PhotoFiles, PhotoName
from deploy.loadtest.workload.planned import PhotoFault
from deploy.services.buckets import ensure_bucket, s3_client
from deploy.services.interface import Endpoints

_AT_ONCE = 8


class BucketPhotos:
    """The `PhotoSource` of a bucket: number n is file n mod `count`. Serve must list it in `FETCH_BUCKETS`."""

    def __init__(self, bucket: str, count: int) -> None:
        self._bucket = bucket
        self._count = count

    def url(self, name: str) -> str:
        """The address of a photo; raise `ValueError` for what is no name of one."""
        photo = PhotoName.parse(name)
        if photo is None:
            raise ValueError(f"{name!r} is no name of a photo: NUMBER-EDGE[-FLAW].jpg is")
        return f"s3://{self._bucket}/{photo._replace(number=photo.number % self._count)}"


def upload_photos(
    endpoints: Endpoints,
    bucket: str,
    files: PhotoFiles,
    *,
    count: int,
    edges: Sequence[int],
    flaws: Sequence[PhotoFault] = (),
) -> BucketPhotos:
    """Put the files of the numbers 0 to `count` - 1 into the bucket, which is made if it is missing.

    Missing photos are not put there. `ServiceFailed` where the store refuses.
    """
    client = s3_client(endpoints.s3_endpoint, endpoints.access_key, endpoints.secret_key, endpoints.region)
    ensure_bucket(client, bucket)

    def put(name: PhotoName) -> None:
        file = files.file(name)
        if file is not None:
            client.put_object(Bucket=bucket, Key=str(name), Body=b"".join(file.pieces), ContentType=JPEG)

    names = [PhotoName(number, edge, flaw) for number in range(count) for edge in edges for flaw in (None, *flaws)]
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(put, names))
    except (BotoCoreError, ClientError) as error:
        raise ServiceFailed(f"the store does not take photos: {error}") from error
    return BucketPhotos(bucket, count)
