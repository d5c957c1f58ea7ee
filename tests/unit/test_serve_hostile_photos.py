"""An event with photos that are made to hurt: the good one is enriched, the others are told apart by their errors."""

import asyncio
from pathlib import Path

from serve.errors import ServeError
from serve.images.limits import MIB, SandboxLimits
from serve.images.sandbox import Sandbox
from tests.support.moody_worker import COMMAND
from tests.support.photos import garment, huge_header
from tests.support.small_studio import item, small_studio

LIMITS = SandboxLimits(memory_bytes=200 * MIB, cpu_s=0.5, wall_s=120)


def test_bombs_and_crashes_cost_their_photos_and_nothing_else(tmp_path: Path) -> None:
    photos: dict[str, bytes | ServeError] = {
        "bomb": huge_header(),
        "crash": b"CRASH",
        "burn": b"BURN",
        "eat": b"EAT",
        "text": b"hello",
        "good": garment(),
    }
    pool = Sandbox(2, allowed=LIMITS, command=COMMAND)
    try:
        with small_studio(photos, tmp_path, decoder=pool.decode) as studio:
            result = asyncio.run(studio.pipeline.answer(item(*photos)))
            again = asyncio.run(studio.pipeline.answer(item("good", offset=1, listing_id="L2")))
    finally:
        pool.close()
    assert len(result.outputs) == 2
    assert {(error.stage, error.code) for error in result.errors} == {
        ("decode", "too_many_pixels"),
        ("decode", "decoder_crashed"),
        ("decode", "decoder_timeout"),
        ("decode", "decoder_memory"),
        ("decode", "unsupported_format"),
    }
    assert len(result.errors) == 5
    assert len(again.outputs) == 2


def test_a_preview_of_what_crashes_is_answered_and_the_next_one_works(tmp_path: Path) -> None:
    pool = Sandbox(1, allowed=LIMITS, command=COMMAND)
    try:
        with small_studio({}, tmp_path, decoder=pool.decode) as studio:

            async def both() -> tuple[object, int]:
                try:
                    await studio.previewer.preview(b"CRASH", "pair")
                except ServeError as error:
                    code: object = error.code
                return code, len((await studio.previewer.preview(garment(), "pair")).images)

            assert asyncio.run(both()) == ("decoder_crashed", 2)
    finally:
        pool.close()
