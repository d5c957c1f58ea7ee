"""A few small photos that many listings share, so that their images cost little."""

import cv2
import numpy as np

from deploy.demo.photo_server import PhotoServer
from deploy.demo.products import render
from deploy.errors import ServiceFailed
from deploy.loadtest.workload.planned import photo_name

#: Width and height in pixels.
SIZE = (300, 400)


def small_photo(seed: int, index: int) -> bytes:
    """A product photo as a small JPEG; about 0.3 s on one core."""
    pixels = cv2.imdecode(np.frombuffer(render(seed, index).body, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ServiceFailed("OpenCV cannot read a photo that was just drawn")
    small = cv2.resize(pixels, SIZE, interpolation=cv2.INTER_AREA)
    done, file = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not done:
        raise ServiceFailed("OpenCV cannot write a JPEG")
    return file.tobytes()


def serve_photos(server: PhotoServer, seed: int, count: int) -> None:
    """Put so many photos on the server, under the names of the traffic without a namespace."""
    for index in range(count):
        server.add(photo_name(index, max(SIZE)), small_photo(seed, index), "image/jpeg")
