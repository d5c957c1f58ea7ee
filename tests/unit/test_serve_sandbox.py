"""The pool of decode workers: whatever becomes of one, only its photo pays, and the next photo finds another."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from serve.errors import (
    CorruptImage,
    DecoderCrashed,
    DecoderMemory,
    DecoderStalled,
    DecoderTimeout,
    DecoderUnavailable,
    SourceError,
    TooManyPixels,
)
from serve.images import worker as worker_module
from serve.images.decoding import DecodeLimits, decode
from serve.images.limits import MIB, Refusal, SandboxLimits
from serve.images.protocol import FLAGS, MOST_BYTES, Answer, Nonsense, unpack_answer
from serve.images.sandbox import Sandbox
from serve.images.worker import NotStarted, Worker
from serve.interfaces import FetchedBytes, SourceImage
from serve.schemas.outcome import RetryClass
from tests.support.moody_worker import COMMAND, LIE
from tests.support.photos import garment, huge_header
from tests.support.pictures import patches, saved

ROOT = Path(__file__).parents[2]
TIGHT = SandboxLimits(memory_bytes=160 * MIB, cpu_s=0.4, wall_s=120)
#: For what only hangs, so that no honest photo waits for a busy machine.
HASTY = SandboxLimits(wall_s=0.6)
GOOD = saved(Image.fromarray(patches()), "PNG")


def fetched(body: bytes) -> FetchedBytes:
    return FetchedBytes(body=body, sha256=hashlib.sha256(body).hexdigest())


def eventually(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def entries(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()} if Path(folder).exists() else set()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A pool of workers that obey the file."""
    pool = Sandbox(1, allowed=TIGHT, command=COMMAND)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def hasty() -> Iterator[Sandbox]:
    """The same with little patience."""
    pool = Sandbox(1, allowed=HASTY, command=COMMAND)
    yield pool
    pool.close()


def developed(sandbox: Sandbox, body: bytes, limits: DecodeLimits | None = None) -> SourceImage:
    return sandbox.decode(fetched(body), "front", limits or DecodeLimits())


def assert_works(sandbox: Sandbox) -> None:
    assert np.array_equal(developed(sandbox, GOOD).pixels, patches())


@pytest.mark.parametrize(
    "body", [GOOD, garment(), saved(Image.fromarray(patches()).convert("RGBA"), "WEBP", lossless=True)]
)
def test_pixels_are_those_of_decoding_here(sandbox: Sandbox, body: bytes) -> None:
    there, here = developed(sandbox, body), decode(fetched(body), "front")
    assert np.array_equal(there.pixels, here.pixels)
    assert there.pixels.flags.writeable
    assert there.pixels.flags.c_contiguous
    assert (there.format, there.flags, there.notices) == (here.format, here.flags, here.notices)
    assert (there.image_id, there.sha256) == (here.image_id, here.sha256)


def test_pixels_stay_when_the_worker_goes_on() -> None:
    pool = Sandbox(1)
    try:
        first = developed(pool, GOOD).pixels
        developed(pool, saved(Image.new("RGB", (300, 300), (1, 2, 3)), "PNG"))
    finally:
        pool.close()
    assert np.array_equal(first, patches())


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (b"CRASH", DecoderCrashed),
        (b"ABORT", DecoderCrashed),
        (b"LEAVE", DecoderCrashed),
        (b"KILLED", DecoderCrashed),
        (b"BURN", DecoderTimeout),
        (b"EAT", DecoderMemory),
        (b"GREEDY", DecoderMemory),
    ],
)
def test_what_hurts_a_worker_costs_its_photo_a_typed_error(
    sandbox: Sandbox, order: bytes, error: type[SourceError]
) -> None:
    with pytest.raises(error) as raised:
        developed(sandbox, order)
    assert raised.value.retry is RetryClass.PERMANENT
    assert_works(sandbox)


def test_a_worker_that_hangs_is_killed_and_the_photo_may_come_again(hasty: Sandbox) -> None:
    eventually(lambda: len(hasty._idle) == 2)
    before = {worker.pid for worker in hasty._idle}
    with pytest.raises(DecoderStalled) as raised:
        developed(hasty, b"HANG")
    assert raised.value.retry is RetryClass.TRANSIENT
    assert len(before & {worker.pid for worker in hasty._idle}) == 1


def test_a_photo_whose_worker_was_killed_for_something_else_is_tried_again(sandbox: Sandbox, tmp_path: Path) -> None:
    """The kernel, short of memory, kills whom it likes: the photo is not to blame."""
    with pytest.raises(SourceError, match="not an image"):
        developed(sandbox, b"ONCE " + str(tmp_path / "flag").encode())
    assert (tmp_path / "flag").exists()


def test_a_worker_that_died_while_idle_costs_nothing() -> None:
    pool = Sandbox(1)
    try:
        eventually(lambda: len(pool._idle) == 2)
        for worker in list(pool._idle):
            os.kill(worker.pid, signal.SIGKILL)
        assert_works(pool)
        eventually(lambda: len(pool._idle) == 2)
    finally:
        pool.close()


def test_a_spare_steps_in_and_a_successor_is_started(sandbox: Sandbox) -> None:
    eventually(lambda: len(sandbox._idle) == 2)
    before = {worker.pid for worker in sandbox._idle}
    with pytest.raises(DecoderCrashed):
        developed(sandbox, b"CRASH")
    assert len(before & {worker.pid for worker in sandbox._idle}) == 1
    eventually(lambda: len(sandbox._idle) == 2)
    assert len(before - {worker.pid for worker in sandbox._idle}) == 1


LIES = [
    b"",
    b"x" * MOST_BYTES,
    b"[" * 60_000,
    b"not json",
    b"null",
    b"[]",
    b'"code"',
    b'{"width": 1e9, "height": 1}',
    json.dumps({"width": 7_000, "height": 7_200, "format": "png", "mode": "RGB", "flags": []}).encode(),
    json.dumps({"width": -3, "height": -3, "format": "png", "mode": "RGB", "flags": []}).encode(),
    json.dumps({"width": True, "height": 3, "format": "png", "mode": "RGB", "flags": []}).encode(),
    json.dumps({"width": 3, "height": 3, "format": "exe", "mode": "RGB", "flags": []}).encode(),
    json.dumps({"width": 3, "height": 3, "format": "png", "mode": "RGB", "flags": ["<b>"]}).encode(),
    json.dumps({"width": 3, "height": 3, "format": "png", "mode": "RGB" * 9, "flags": []}).encode(),
    json.dumps({"code": "no such code", "message": "?"}).encode(),
    json.dumps({"code": 3, "message": None}).encode(),
]


@pytest.mark.parametrize("lie", LIES, ids=range(len(LIES)))
def test_nothing_that_a_worker_says_is_believed(sandbox: Sandbox, lie: bytes) -> None:
    with pytest.raises(DecoderCrashed):
        developed(sandbox, LIE + lie)
    assert_works(sandbox)


def test_texts_of_a_worker_are_cleaned() -> None:
    told = {"width": 3, "height": 3, "format": "png", "mode": "RGB", "flags": []}
    told["notices"] = {"credit": ["a\x00b\u202e" + "c" * 9_000], "unknown": ["x"], "creator": "no list", "c2pa": [3]}
    answer = unpack_answer(json.dumps(told).encode(), 27)
    assert list(answer.notices) == ["credit"]
    assert answer.notices["credit"][0].startswith("abccc")
    assert len(answer.notices["credit"][0]) == 500
    with pytest.raises(Refusal) as refusal:
        unpack_answer(json.dumps({"code": "corrupt_image", "message": "a\nb"}).encode(), 27)
    assert refusal.value.message is None


@settings(deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["width", "height", "format", "mode", "flags", "code", "message"]), inner
                )
            ),
            max_leaves=9,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_answer_is_a_picture_a_refusal_or_nonsense(packet: bytes) -> None:
    try:
        answer = unpack_answer(packet, 3_000)
    except (Refusal, Nonsense):
        return
    assert isinstance(answer, Answer)
    assert 0 < answer.nbytes <= 3_000
    assert set(answer.flags) <= FLAGS


def test_several_callers_share_few_workers() -> None:
    """Four threads, two workers: all get their own picture."""
    pool = Sandbox(2)
    colours = [(index * 9, 255 - index * 9, index) for index in range(24)]

    def one(colour: tuple[int, int, int]) -> bool:
        pixels = developed(pool, saved(Image.new("RGB", (200, 100), colour), "PNG")).pixels
        return bool((pixels == colour).all())

    try:
        with ThreadPoolExecutor(4) as threads:
            assert all(threads.map(one, colours))
        assert len(pool._idle) <= 3
    finally:
        pool.close()


def test_closing_ends_all_workers_and_refuses_more() -> None:
    pool = Sandbox(1)
    eventually(lambda: len(pool._idle) == 2)
    pids = [worker.pid for worker in pool._idle]
    pool.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    with pytest.raises(DecoderUnavailable):
        developed(pool, GOOD)


def test_closing_while_a_photo_is_decoded_ends_that_worker_with_it() -> None:
    pool = Sandbox(1, allowed=HASTY, command=COMMAND)
    eventually(lambda: len(pool._idle) == 2)
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(developed, pool, b"HANG")
        eventually(lambda: len(pool._idle) == 1)
        pool.close()
        with pytest.raises(DecoderStalled):
            hanging.result()
    assert pool._alive == 0


def test_without_workers_the_error_is_one_that_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in ((sys.executable, "-c", "raise SystemExit(3)"), ("/nonexistent",)):
        with pytest.raises(NotStarted):
            Worker(command)
        pool = Sandbox(1, command=command, wait_s=0.3)
        try:
            with pytest.raises(DecoderUnavailable) as raised:
                developed(pool, GOOD)
            assert raised.value.retry is RetryClass.TRANSIENT
        finally:
            pool.close()


def test_who_finds_no_free_worker_in_time_is_told_so() -> None:
    pool = Sandbox(1, allowed=HASTY, command=COMMAND, wait_s=0.2)
    try:
        eventually(lambda: len(pool._idle) == 2)
        with ThreadPoolExecutor(1) as threads:
            hanging = threads.submit(developed, pool, b"HANG")
            eventually(lambda: pool._busy._value == 0)
            with pytest.raises(DecoderUnavailable):
                developed(pool, GOOD)
            with pytest.raises(DecoderStalled):
                hanging.result()
    finally:
        pool.close()


def test_a_worker_that_has_grown_or_done_much_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve.images.sandbox._MOST_JOBS", 2)
    pool = Sandbox(1)
    try:
        eventually(lambda: len(pool._idle) == 2)
        first = pool._idle[0].pid
        for _ in range(2):
            assert_works(pool)
        eventually(lambda: len(pool._idle) == 2)
        assert first not in {worker.pid for worker in pool._idle}
    finally:
        pool.close()


def test_a_worker_loads_little_and_knows_nothing() -> None:
    """No frameworks, no clients, no secrets of its parent, nothing of the parent's open files."""
    secret = {"VITRINE_SERVE_S3_SECRET_KEY": "hidden", "AWS_SECRET_ACCESS_KEY": "hidden"}
    code = """
import json, os, sys
from serve.images.worker import Worker
inherited = open(sys.argv[1]); os.set_inheritable(inherited.fileno(), True)
worker = Worker()
environment = open(f"/proc/{worker.pid}/environ").read().split(chr(0))
limits = open(f"/proc/{worker.pid}/limits").read()
files = [os.readlink(f"/proc/{worker.pid}/fd/{one}") for one in os.listdir(f"/proc/{worker.pid}/fd")]
maps = open(f"/proc/{worker.pid}/maps").read()
print(json.dumps([environment, limits, files, maps]))
worker.kill()
"""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **secret}
    done = subprocess.run(
        [sys.executable, "-c", code, __file__], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    told, limits, files, maps = json.loads(done.stdout)
    assert not any("hidden" in variable for variable in told)
    assert {variable.partition("=")[0] for variable in told} - {""} <= {
        "PATH", "PYTHONPATH", "LC_ALL", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MALLOC_ARENA_MAX",
        "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE",
    }  # fmt: skip
    rows = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()}
    assert rows["Max file size"] == ["0", "0"]
    assert rows["Max core file size"] == ["0", "0"]
    assert rows["Max open files"] == ["32", "32"]
    assert __file__ not in files
    assert len(files) <= 5  # standard ones, the socket, the room
    assert not any(name in maps for name in ("/torch/", "/ray/", "/cv2/", "pydantic_core"))


def test_a_worker_imports_only_what_decoding_needs() -> None:
    code = "import sys, serve.images.decode_worker as w; w.supported(); print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert {"PIL", "numpy"} <= loaded
    assert not loaded & {"torch", "ray", "boto3", "fastapi", "pydantic", "cv2", "sqlalchemy", "httpcore", "asyncio"}


def test_workers_die_with_their_parent() -> None:
    code = """
import sys, time
from serve.images.sandbox import Sandbox
pool = Sandbox(1)
while len(pool._idle) < 2: time.sleep(0.01)
print(*(worker.pid for worker in pool._idle), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == 2
    eventually(lambda: not any(_running(pid) for pid in pids))


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_a_worker_without_its_parent_does_not_begin() -> None:
    room = os.memfd_create("room")
    os.ftruncate(room, 4096)
    done = subprocess.run(
        [sys.executable, "-m", "serve.images.decode_worker", str(room), str(room), "1"],
        pass_fds=(room,), cwd=ROOT, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(room)
    assert done.returncode == 0


def test_nothing_is_left_in_shared_memory_after_a_kill(sandbox: Sandbox) -> None:
    before, descriptors = entries("/dev/shm"), len(entries("/proc/self/fd"))
    eventually(lambda: len(sandbox._idle) == 2)
    for _ in range(3):
        with pytest.raises(DecoderCrashed):
            developed(sandbox, b"CRASH")
        eventually(lambda: len(sandbox._idle) == 2)
    assert not any("vitrine" in name for name in entries("/dev/shm") - before)
    assert len(entries("/proc/self/fd")) <= descriptors + 2


def test_limits_are_held_in_the_worker_too(sandbox: Sandbox) -> None:
    with pytest.raises(TooManyPixels):
        developed(sandbox, huge_header())
    with pytest.raises(TooManyPixels):
        developed(sandbox, GOOD, DecodeLimits(max_pixels=100))
    small = Sandbox(1, allowed=SandboxLimits(room_bytes=999))
    try:
        with pytest.raises(TooManyPixels):
            developed(small, GOOD)
    finally:
        small.close()


def test_a_photo_that_needs_more_memory_than_it_may_have_is_told_so_by_the_kernel(sandbox: Sandbox) -> None:
    """30 megapixels in 160 MiB: the worker is refused the memory, and lives."""
    eventually(lambda: len(sandbox._idle) == 2)
    pids = {worker.pid for worker in sandbox._idle}
    big = saved(Image.new("RGB", (6_000, 5_000)), "PNG")
    with pytest.raises(DecoderMemory):
        developed(sandbox, big)
    assert {worker.pid for worker in sandbox._idle} == pids
    assert_works(sandbox)


def test_memory_of_a_large_photo_is_given_back() -> None:
    worker = Worker()
    try:
        worker.run(saved(Image.new("RGB", (4_000, 3_000)), "PNG"), DecodeLimits(), SandboxLimits())
        large = worker.peak_bytes
        worker.run(GOOD, DecodeLimits(), SandboxLimits())
        assert large > worker.idle_bytes + 60 * MIB
        assert worker.grown() < 32 * MIB
        assert worker.peak_bytes < worker.idle_bytes + 32 * MIB
    finally:
        worker.kill()


def test_a_damaged_photo_is_an_error_of_the_photo(sandbox: Sandbox) -> None:
    with pytest.raises(CorruptImage):
        developed(sandbox, GOOD[:100])


def test_the_event_loop_of_the_caller_is_free(hasty: Sandbox) -> None:
    """The lock of the interpreter is not held while a worker decodes."""
    turns = 0
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(developed, hasty, b"HANG")
        while not hanging.done():
            turns += 1
            time.sleep(0.01)
    assert turns > 5
    assert isinstance(hanging.exception(), DecoderStalled)


def test_a_worker_finds_the_modules_where_its_parent_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path), "/nonexistent"])
    places = worker_module._environment()["PYTHONPATH"].split(os.pathsep)
    assert places[0] == str(ROOT)
    assert str(tmp_path) in places
    assert "/nonexistent" not in places
