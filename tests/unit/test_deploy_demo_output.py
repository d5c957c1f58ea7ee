"""What the demo leaves: verified pictures, contact sheets, files."""

import hashlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from deploy.demo.contact_picture import picture
from deploy.demo.contact_sheet import html
from deploy.demo.ledger import DeadLetter, Ledger
from deploy.demo.output import MARKER, OutputFolder
from deploy.demo.sheet import Extra, Row, Sheet, Tile, extra_of, row_of
from deploy.demo.verify import Verification, fetch_all, file_name, place_of
from deploy.errors import DeployError
from serve.schemas.outcome import Outcome, Verdict
from serve.schemas.result import ImageError, Quality
from tests.support.demo_run import output, planned, position, result

HOSTILE = '"><script>fetch("https://evil.example/")</script><img src=x onerror=alert(1)>'


def jpeg(colour: str = "teal", size: tuple[int, int] = (60, 80)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


def sheet(tmp_path: Path, rows: int = 1) -> Sheet:
    path = tmp_path / "white.jpg"
    path.write_bytes(jpeg("orange", (50, 50)))
    tiles = (
        Tile(variant="white", verdict="publish", path=path),
        Tile(variant="navy", verdict="reject", reasons=(HOSTILE,)),
    )
    row = Row(
        listing_id=HOSTILE,
        title=HOSTILE,
        category="x",
        outcome="enriched",
        reason=HOSTILE,
        original=jpeg(),
        tiles=tiles,
    )
    extra = Extra(label=HOSTILE, ending="dead letter", code=HOSTILE, message=HOSTILE, right=False)
    return Sheet(rows=[row] * rows, extras=[extra], figures={HOSTILE: HOSTILE})


class Elements(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_page_is_self_contained_and_inert(tmp_path: Path) -> None:
    page = html(sheet(tmp_path))
    elements = Elements(page).found
    tags = {tag for tag, _ in elements}
    assert "script" not in tags
    assert tags.isdisjoint({"link", "iframe", "object", "embed", "form", "base"})
    for tag, attributes in elements:
        assert not any(name.startswith("on") for name in attributes), tag
        if tag == "img":
            assert (attributes["src"] or "").startswith("data:image/webp;base64,")
            assert attributes["alt"]
    style = page[page.index("<style>") : page.index("</style>")]
    assert not re.search(r"url\(|@import|https?:", style)


def test_page_says_why_there_is_no_picture(tmp_path: Path) -> None:
    page = html(sheet(tmp_path))
    assert "no picture" in page
    assert "rejected" in page
    assert "not as expected" in page


def test_picture_shows_the_photo_and_its_variants(tmp_path: Path) -> None:
    one, many = picture(sheet(tmp_path)), picture(sheet(tmp_path, rows=3), rows=2)
    assert one.width == many.width
    assert one.height < many.height
    colours = {colour for _, colour in one.getcolors(1 << 24) or []}
    assert any(abs(r - 255) < 6 and abs(g - 165) < 6 and b < 8 for r, g, b in colours), "no orange variant"
    assert any(r < 8 and abs(g - 128) < 6 and abs(b - 128) < 6 for r, g, b in colours), "no teal original"


def test_tiles_keep_their_shape_and_every_recipe_is_shown(tmp_path: Path) -> None:
    def row(recipe: str, number: int, size: tuple[int, int]) -> Row:
        path = tmp_path / f"{recipe}.jpg"
        path.write_bytes(jpeg("orange" if recipe == "usual" else "purple", size))
        tile = Tile(variant=recipe, verdict="publish", path=path, ratio=size[0] / size[1])
        return Row(
            listing_id=f"{recipe}-{number}",
            title="Shirt",
            category="x",
            outcome="enriched",
            reason=None,
            recipe=recipe,
            original=jpeg(),
            tiles=(tile,),
        )

    usual = [row("usual", number, (300, 300)) for number in range(9)]
    wide = [row("wide", number, (600, 300)) for number in range(3)]
    alone, mixed = picture(Sheet(rows=usual), rows=4), picture(Sheet(rows=[*usual, *wide]), rows=4)
    assert mixed.width > alone.width
    counts = {colour: count for count, colour in mixed.getcolors(1 << 24) or []}
    purple = sum(count for (r, g, b), count in counts.items() if abs(r - 128) < 6 and g < 8 and abs(b - 128) < 6)
    # Two wide tiles at the full height of a row.
    assert purple == pytest.approx(2 * 464 * 232, rel=0.02)
    page = html(Sheet(rows=[wide[0]]))
    assert 'style="--ratio: 2.000"' in page


def test_rows_and_extras_come_from_the_ledger() -> None:
    ledger = Ledger()
    events = planned(1)
    quality = Quality(verdict=Verdict.REJECT, score=0.5, reasons=["too dark"])
    error = ImageError(
        variant="navy", stage="quality_filter", code="quality_rejected", retryable=False, message="m", quality=quality
    )
    entry = ledger.sent(events[0], position(0))
    answer = result(position(0), outputs=[output("white", "k")], errors=[error])
    ledger.answered(answer)
    extra = ledger.sent(events[1], position(1))
    row = row_of(entry, {place_of(answer, answer.outputs[0]): Path("white.jpg")})
    assert row is not None
    assert [(tile.variant, tile.verdict, tile.path) for tile in row.tiles] == [
        ("white", "publish", Path("white.jpg")),
        ("navy", "reject", None),
    ]
    assert row.tiles[1].reasons == ("too dark",)
    assert row_of(extra, {}) is None
    assert extra_of(entry) is None
    shown = extra_of(extra)
    assert shown is not None
    assert (shown.ending, shown.right) == ("no answer", False)


def test_objects_are_compared_with_their_results(tmp_path: Path) -> None:
    good, missing, other = b"good", b"missing", b"other"
    store = {"good": good, "other": b"something else"}
    outputs = [
        output(name, name, sha256=hashlib.sha256(body).hexdigest())
        for name, body in (("good", good), ("missing", missing), ("other", other))
    ]
    found = fetch_all([result(position(0), outputs=outputs)], store.__getitem__, tmp_path)
    assert found.verified == 1
    assert len(found.mismatches) == 2
    assert (tmp_path / "listing-001" / "good.jpg").read_bytes() == good


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "/root", "a/b", ".hidden", ""])
def test_file_names_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    path = file_name(result(position(0), listing_id=name or "x"), output(name))
    assert (tmp_path / path).resolve().is_relative_to(tmp_path.resolve())
    assert len(path.parts) == 2


def test_several_photos_get_several_files() -> None:
    outputs = [output("white", "a"), output("white", "b", source_image_id="second")]
    answer = result(position(0), outputs=outputs)
    assert len({file_name(answer, one) for one in outputs}) == 2


def test_files_hold_one_line_per_event(tmp_path: Path) -> None:
    ledger = Ledger()
    events = planned(1)
    for offset, event in enumerate(events):
        ledger.sent(event, position(offset))
    answer = result(position(0), outputs=[output("white", "k")])
    ledger.answered(answer)
    ledger.answered(result(position(1), Outcome.DUPLICATE, code="duplicate_event"))
    ledger.answered(DeadLetter(position=position(7), code="invalid_json", message="m", value=b"\xff{"))
    folder = OutputFolder(tmp_path / "out")
    folder.clear()
    found = Verification(paths={place_of(answer, answer.outputs[0]): folder.images / "listing-001" / "white.jpg"})
    folder.write_events(ledger.entries)
    folder.write_answers(ledger.entries, found)
    assert len((folder.path / "events.ndjson").read_bytes().splitlines()) == len(events)
    results = [json.loads(line) for line in (folder.path / "results.ndjson").read_text().splitlines()]
    assert [(line["event_id"], line["outcome"]) for line in results] == [("event", "enriched"), ("event", "duplicate")]
    assert results[0]["outputs"][0]["path"] == "images/listing-001/white.jpg"
    (dead,) = [json.loads(line) for line in (folder.path / "dead.ndjson").read_text().splitlines()]
    assert (dead["code"], dead["value_base64"], dead["label"]) == ("invalid_json", "/3s=", events[7].label)


def test_listings_with_the_same_photo_have_files_of_their_own(tmp_path: Path) -> None:
    body = b"one object"
    made = output("white", "shared", sha256=hashlib.sha256(body).hexdigest())
    ledger = Ledger()
    for number, event in enumerate(planned(2)[:2]):
        entry = ledger.sent(event, position(number))
        ledger.answered(result(entry.position, listing_id=event.listing_id, outputs=[made]))
    folder = OutputFolder(tmp_path / "out")
    folder.clear()
    found = fetch_all(ledger.results, {"shared": body}.__getitem__, folder.images)
    folder.write_answers(ledger.entries, found)
    lines = [json.loads(line) for line in (folder.path / "results.ndjson").read_text().splitlines()]
    assert [line["outputs"][0]["path"] for line in lines] == [
        "images/listing-001/white.jpg",
        "images/listing-002/white.jpg",
    ]


def test_clear_empties_a_folder_of_ours_and_leaves_other_files(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "new" / "out")
    folder.clear()
    folder.images.mkdir()
    (folder.images / "old.jpg").write_bytes(b"")
    (folder.path / "summary.json").write_text("{}")
    (folder.path / "notes.txt").write_text("mine")
    folder.clear()
    assert sorted(path.name for path in folder.path.iterdir()) == [MARKER, "notes.txt"]


def test_clear_leaves_a_folder_of_somebody_else_alone(tmp_path: Path) -> None:
    photo = tmp_path / "images" / "photo.jpg"
    photo.parent.mkdir()
    photo.write_bytes(jpeg())
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(DeployError, match="not made by"):
        OutputFolder(tmp_path).clear()
    assert photo.exists()
    assert (tmp_path / "summary.json").exists()


def test_photos_are_never_in_the_output_folder(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "shop")
    folder.clear()
    (folder.path / "images").mkdir()
    link = tmp_path / "link"
    link.symlink_to(folder.path / "images")
    for photos in (folder.path / "images", folder.path, link):
        with pytest.raises(DeployError, match="lie in the output folder"):
            folder.require_ours(photos)
    folder.require_ours(tmp_path)


def test_a_file_is_no_output_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeployError, match="cannot be used"):
        OutputFolder(tmp_path / "file").clear()
