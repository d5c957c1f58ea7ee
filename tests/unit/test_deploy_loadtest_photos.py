"""Photos by number: their bytes, and the server that hands them out."""

import hashlib
import http.client
import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from deploy.errors import DeployError
from deploy.loadtest.workload.photo_bytes import PhotoFiles, PhotoName, base, numbered, picture
from deploy.loadtest.workload.photo_host import PhotoHost, files_of, server
from deploy.loadtest.workload.planned import PhotoFault

HUGE = 300_000
EDGES = (40, 64)


def drawing(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 255, (80, 60, 3), np.uint8)


def made(seed: int = 1, pictures: int = 3) -> PhotoFiles:
    bases = {edge: [base(drawing(number), edge) for number in range(pictures)] for edge in EDGES}
    return PhotoFiles(bases, seed=seed, huge_bytes=HUGE)


FILES, SAME, OTHER_SEED = made(), made(), made(seed=2)
numbers = st.integers(0, 10**18 - 1)
names = st.builds(PhotoName, numbers, st.sampled_from(EDGES), st.none() | st.sampled_from(PhotoFault))
whole_names = st.builds(PhotoName, numbers, st.sampled_from(EDGES), st.none())


def body(files: PhotoFiles, name: PhotoName) -> bytes:
    file = files.file(name)
    assert file is not None
    raw = b"".join(file.pieces)
    assert len(raw) == file.length
    return raw


@given(names)
def test_a_name_is_read_as_it_is_written(name: PhotoName) -> None:
    assert PhotoName.parse(str(name)) == name


@pytest.mark.parametrize(
    "text", ["", "1.jpg", "1-40.png", "-1-40.jpg", "1-40-ugly.jpg", "1-40.jpg?x", "x/1-40.jpg", "1-40-.jpg"]
)
def test_anything_else_is_no_name(text: str) -> None:
    assert PhotoName.parse(text) is None


@given(whole_names)
def test_a_photo_decodes_to_the_picture_of_its_edge(name: PhotoName) -> None:
    raw = body(FILES, name)
    with Image.open(io.BytesIO(raw)) as image:
        assert (image.format, max(image.size)) == ("JPEG", name.edge)
        assert image.info["comment"] == f"photo {name.number} of load test 1".encode()
        assert image.info["jfif"] == 257
        image.load()
    plain = picture(base(drawing(name.number % 3), name.edge), "base")
    assert np.array_equal(picture(raw, "photo"), plain)


@given(names.filter(lambda name: name.flaw is not PhotoFault.MISSING))
def test_the_same_name_is_the_same_file_and_no_other_seed_has_it(name: PhotoName) -> None:
    first, same, other = (files.file(name) for files in (FILES, SAME, OTHER_SEED))
    assert first is not None
    assert same is not None
    assert other is not None
    assert first.etag == same.etag != other.etag
    assert body(FILES, name) == body(SAME, name) != body(OTHER_SEED, name)


@given(st.sets(names.filter(lambda name: name.flaw is not PhotoFault.MISSING), min_size=2, max_size=6))
def test_different_names_are_different_files(some: set[PhotoName]) -> None:
    assert len({hashlib.sha256(body(FILES, name)).digest() for name in some}) == len(some)
    assert len({file.etag for name in some if (file := FILES.file(name))}) == len(some)


@given(numbers)
def test_flaws_are_what_they_are_called(number: int) -> None:
    whole, cut, garbage, huge = (
        body(FILES, PhotoName(number, 64, flaw))
        for flaw in (None, PhotoFault.TRUNCATED, PhotoFault.GARBAGE, PhotoFault.HUGE)
    )
    assert whole.startswith(cut)
    assert len(cut) < len(whole)
    with pytest.raises(OSError), Image.open(io.BytesIO(cut)) as image:
        image.load()
    with pytest.raises(DeployError, match="garbage"):
        picture(garbage, "garbage")
    assert len(huge) == HUGE
    assert huge.startswith(whole)
    assert FILES.file(PhotoName(number, 64, PhotoFault.MISSING)) is FILES.file(PhotoName(number, 65)) is None


def test_a_comment_goes_behind_the_segment_that_must_be_first_if_there_is_one() -> None:
    bare = b"\xff\xd8\xff\xdb\x00\x02rest"
    assert b"".join(numbered(bare, "hi")) == b"\xff\xd8\xff\xfe\x00\x04hi\xff\xdb\x00\x02rest"
    jfif = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xdb\x00\x02rest"
    assert b"".join(numbered(jfif, "hi")) == b"\xff\xd8\xff\xe0\x00\x04ab\xff\xfe\x00\x04hi\xff\xdb\x00\x02rest"


def test_pictures_come_from_a_folder_where_one_is_given(tmp_path: Path) -> None:
    for number in range(2):
        Image.fromarray(drawing(number)).save(tmp_path / f"{number}.png")
    spec = {"seed": 1, "edges": [40], "bases": 5, "photos": str(tmp_path), "huge_bytes": 1}
    files = files_of(spec)
    found = {body(files, PhotoName(number, 40)).split(b"load test 1")[1] for number in range(5)}
    assert len(found) == 2
    (tmp_path / "2.jpg").write_bytes(b"no picture")
    with pytest.raises(DeployError, match=r"2\.jpg is no picture"):
        files_of(spec)


def test_drawn_pictures_are_those_of_the_seed() -> None:
    spec = {"seed": 3, "edges": [48], "bases": 1, "photos": None, "huge_bytes": 1}
    first, again, other = (files_of({**spec, "seed": seed}) for seed in (3, 3, 4))
    name = PhotoName(0, 48)
    assert body(first, name) == body(again, name)
    assert not np.array_equal(picture(body(first, name), ""), picture(body(other, name), ""))


def test_an_empty_folder_of_photos_is_refused_before_anything_starts(tmp_path: Path) -> None:
    host = PhotoHost(tmp_path, seed=1, edges=EDGES, photos=tmp_path)
    with pytest.raises(DeployError, match="no photos"):
        host.start()
    assert (host.processes(), host.healthy()) == ([], False)
    host.stop()


def test_the_address_is_the_one_that_others_know(tmp_path: Path) -> None:
    host = PhotoHost(tmp_path, seed=1, edges=EDGES, host="0.0.0.0", advertised="photos.test")
    assert host.url("1-40.jpg") == f"http://{host.origin}/1-40.jpg"
    assert host.origin.startswith("photos.test:")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with server("127.0.0.1", 0, FILES) as listening:
        thread = Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield listening.server_port
        listening.shutdown()
        thread.join()


@pytest.fixture
def client(port: int) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        yield connection


def asked(
    client: http.client.HTTPConnection, path: str, method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    client.request(method, path, headers=headers)
    answer = client.getresponse()
    return answer, answer.read()


def test_one_connection_gets_photo_after_photo(client: http.client.HTTPConnection) -> None:
    sockets = set()
    for name in (PhotoName(5, 40), PhotoName(6, 40), PhotoName(5, 64), PhotoName(5, 40, PhotoFault.HUGE)):
        answer, raw = asked(client, f"/{name}")
        assert (answer.status, answer.getheader("Content-Type")) == (200, "image/jpeg")
        assert raw == body(FILES, name)
        assert answer.getheader("Content-Length") == str(len(raw))
        sockets.add(client.sock)
    assert len(sockets) == 1


def test_who_has_the_photo_does_not_get_it_again(client: http.client.HTTPConnection) -> None:
    etag = asked(client, "/7-40.jpg")[0].getheader("ETag") or ""
    answer, raw = asked(client, "/7-40.jpg", **{"If-None-Match": etag})
    assert (answer.status, raw) == (304, b"")
    assert asked(client, "/8-40.jpg", **{"If-None-Match": etag})[0].status == 200


def test_a_head_has_no_body(client: http.client.HTTPConnection) -> None:
    answer, raw = asked(client, "/7-40.jpg", "HEAD")
    assert (answer.status, raw) == (200, b"")
    assert answer.getheader("Content-Length") == str(len(body(FILES, PhotoName(7, 40))))
    assert asked(client, "/7-40.jpg")[1] == body(FILES, PhotoName(7, 40))


@pytest.mark.parametrize("path", ["/", "/7-41.jpg", "/7-40-missing.jpg", "/x", "/7-40.jpg/.."])
def test_everything_else_is_not_found(client: http.client.HTTPConnection, path: str) -> None:
    assert asked(client, path)[0].status == 404
    assert asked(client, "/7-40.jpg")[0].status == 200


def test_who_leaves_in_the_middle_of_a_huge_photo_harms_nobody(
    port: int, client: http.client.HTTPConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as leaving:
            leaving.request("GET", f"/{number}-40-huge.jpg")
            assert leaving.getresponse().status == 200
    assert asked(client, "/7-40.jpg")[0].status == 200
    assert "Traceback" not in capfd.readouterr().err


def test_pictures_are_upright_three_channel_pixels(tmp_path: Path) -> None:
    done, file = cv2.imencode(".png", np.full((4, 6), 9, np.uint8))
    assert done
    assert picture(file.tobytes(), "grey").shape == (4, 6, 3)
    with pytest.raises(DeployError, match="empty is no picture"):
        picture(b"", "empty")
