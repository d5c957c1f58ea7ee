"""A Serve without Ray and without work: `POST /v1/enrich` in a small process of its own, which misbehaves as told.

`python -m tests.support.stub_ingress FILE --lose 500 --cap 200 …` writes its address to FILE as JSON. `GET /stats`
tells what it did. Written by hand on asyncio streams, so that it costs little next to what it measures.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.services.atomic import write_atomically
from deploy.services.processes import Child
from serve.doors.events import parse_items
from serve.errors import RequestError
from serve.schemas.exchange import NDJSON, Capacity, ErrorLine, ResultLine
from tests.support.stub_answers import Answers, Mischief, Stub, Timing

_BACKLOG = 4096
_START_S = 30.0
_STOP_S = 5.0
_OPEN_STREAM = f"HTTP/1.1 200 OK\r\ncontent-type: {NDJSON}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
_END_OF_STREAM = b"0\r\n\r\n"
_REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"


class Ingress:
    """Answers requests as they come."""

    def __init__(self, mischief: Mischief) -> None:
        self._answers = Answers(mischief)
        self._timing = Timing(mischief)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, path, _ = head.split(b" ", 2)
                body = await reader.readexactly(_length(head))
                if method == b"POST" and path == b"/v1/enrich":
                    await self._enrich(body, writer)
                else:
                    writer.write(self._plain(path))
                await writer.drain()
        writer.close()

    async def _enrich(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        now = time.monotonic()
        if self._answers.refuses():
            writer.write(_REFUSED)
            return
        try:
            items, refused = parse_items(body)
        except RequestError as error:
            writer.write(_reply(422, str(error)))
            return
        answered = sorted(((self._timing.due(now), item) for item in items), key=lambda pair: pair[0])
        await _until(self._timing.thawed(now))
        writer.write(_OPEN_STREAM)
        for broken in refused:
            self._answers.counts["bad"] += 1
            writer.write(_chunk(broken))
        for due, item in answered:
            results = self._answers.to(item)
            await _until(due)
            for result in results:
                writer.write(_chunk(ResultLine(ref=item.ref, result=result)))
        writer.write(_END_OF_STREAM)

    def _plain(self, path: bytes) -> bytes:
        if path == b"/v1/capacity":
            return _reply(200, Capacity(replicas=1, max_in_flight=_BACKLOG).model_dump_json())
        if path == b"/v1/recipes":
            return _reply(200, '[{"recipe":"studio"}]')
        if path in (b"/healthz", b"/readyz"):
            return _reply(200, '{"status":"ready"}')
        if path == b"/stats":
            return _reply(200, json.dumps({**self._answers.counts, "cpu_s": time.process_time()}))
        return _reply(404, "{}")


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _reply(status: int, text: str) -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(text.encode())}\r\n\r\n"
    return f"{head}{text}".encode()


def _chunk(line: ResultLine | ErrorLine) -> bytes:
    text = line.model_dump_json().encode() + b"\n"
    return b"%x\r\n%b\r\n" % (len(text), text)


async def _until(at: float) -> None:
    if (left := at - time.monotonic()) > 0:
        await asyncio.sleep(left)


@contextmanager
def stub_ingress(folder: Path, mischief: Mischief | None = None) -> Iterator[Stub]:
    """Start it in a process of its own; stop it after the block."""
    told, chosen = folder.absolute() / "stub-ingress.json", mischief or Mischief()
    told.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.support.stub_ingress", str(told), *chosen.arguments()]
    child = Child("stub-ingress", command, log=folder / "stub-ingress.log", cwd=Path(__file__).parents[2])
    try:
        child.start()
        child.wait_ready(told.exists, _START_S)
        yield Stub(**json.loads(told.read_text()), mischief=chosen)
    finally:
        child.stop(_STOP_S)


async def serve(mischief: Mischief, file: Path) -> None:
    """Until SIGTERM."""
    server = await asyncio.start_server(Ingress(mischief).connected, "127.0.0.1", 0, backlog=_BACKLOG, limit=2**22)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    write_atomically(file, json.dumps({"url": url, "pid": os.getpid()}))
    await server.serve_forever()


def main() -> None:
    mischief, file = Mischief.parse(argparse.ArgumentParser(description=__doc__), None)
    asyncio.run(serve(mischief, Path(file)))


if __name__ == "__main__":
    main()
