"""`vitrine channels check`, as a user types it."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from deploy.cli import app
from deploy.cli.console import out
from models.recognition.reader import NoReader, ReadingState

runner = CliRunner()


@pytest.fixture(autouse=True)
def without_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text as where the extra is missing: reading takes seconds."""
    monkeypatch.setattr("deploy.cli.channel_check.open_reader", lambda **_: NoReader(ReadingState.NOT_INSTALLED))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "good.jpg"
    picture(2200, 2200).save(file, quality=95)
    return file


def picture(width: int, height: int, ground: str = "white") -> Image.Image:
    image = Image.new("RGB", (width, height), ground)
    ImageDraw.Draw(image).ellipse((width // 20, height // 20, width * 19 // 20, height * 19 // 20), fill=(120, 40, 60))
    return image


def asked(*arguments: object) -> tuple[int, Any]:
    result = runner.invoke(app, ["channels", "check", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout else result.stderr


def statuses(document: dict[str, Any], *wanted: str) -> dict[str, str]:
    return {rule["rule"]: rule["status"] for rule in document["rules"] if rule["status"] in wanted}


def test_a_file_that_passes_exits_with_0_and_shows_every_rule_with_its_source(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out, "_width", 120)
    result = runner.invoke(app, ["channels", "check", str(good), "--channel", "walmart"])
    assert result.exit_code == 0
    assert "2200 x 2200 jpeg" in result.stdout
    for words in ("walmart@2", "white_background", ">= 0.98", "RGB 8", "pass", "walmart.com (2026-11)"):
        assert words in result.stdout
    assert "--url" in result.stdout
    assert "Of 7 rules 0 are broken" in result.stdout


def test_names_of_rules_are_whole_on_a_narrow_terminal(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out, "_width", 80)
    result = runner.invoke(app, ["channels", "check", str(good), "--channel", "ebay"])
    for name in ("advised_longest_side", "advised_jpeg_quality", "forbidden_watermark", "not measured"):
        assert name in result.stdout
    assert "text needs the extra" in result.stdout


def test_a_breach_exits_with_1_and_says_what_was_measured(tmp_path: Path) -> None:
    file = tmp_path / "bad.gif"
    picture(800, 1000, "grey").save(file)
    code, (document,) = asked(file, "--channel", "walmart", "--channel", "amazon-main")
    assert code == 1
    assert not document["passes"]
    walmart, amazon = (
        {rule["rule"]: rule["status"] for rule in document["rules"] if rule["channel"] == name}
        for name in ("walmart", "amazon-main")
    )
    broken = {name for name, status in walmart.items() if status == "fail"}
    assert broken == {"format", "aspect", "white_background", "colour"}
    # Nothing that is said of Amazon was read on its own page.
    assert amazon["white_background"] == "review"
    assert "fail" not in amazon.values()
    measured = {rule["rule"]: (rule["measured"], rule["required"]) for rule in document["rules"]}
    assert measured["aspect"] == (0.8, "1.0 within 1 %")
    assert {rule["channel"] for rule in document["rules"]} == {"walmart", "amazon-main"}


def test_several_files_are_judged_each_and_one_bad_one_does_not_hide_the_others(good: Path, tmp_path: Path) -> None:
    text = tmp_path / "note.jpg"
    text.write_text("no picture")
    code, documents = asked(text, good)
    assert code == 1
    assert [(one["passes"], (one["error"] or {}).get("code")) for one in documents] == [
        (False, "unsupported_format"),
        (True, None),
    ]


def test_the_suffix_must_be_that_of_the_real_format(good: Path) -> None:
    wrong = good.rename(good.with_suffix(".png"))
    code, (document,) = asked(wrong, "--channel", "google")
    assert (code, statuses(document, "fail")) == (1, {"suffix": "fail"})


@pytest.mark.parametrize(
    ("channel", "url", "broken"),
    [
        ("walmart", "https://shop.example/a/good.jpg", set()),
        ("walmart", "https://shop.example/a/good.jpg?X-Amz-Expires=60", {"address_query"}),
        ("walmart", "https://shop.example:9000/a/good", {"address_port", "suffix"}),
        ("ebay", "http://shop.example/good.jpg", {"address_https"}),
        ("google", "https://shop.example/good.png", {"suffix"}),
    ],
)
def test_addresses_are_judged_where_one_is_given(good: Path, channel: str, url: str, broken: set[str]) -> None:
    code, (document,) = asked(good, "--channel", channel, "--url", url)
    assert set(statuses(document, "fail")) == broken
    assert code == bool(broken)


def test_rules_hold_from_their_day_on(tmp_path: Path) -> None:
    file = tmp_path / "small.jpg"
    picture(400, 400).save(file, quality=95)
    before, (early,) = asked(file, "--channel", "google", "--on", "2027-01-30")
    after, (late,) = asked(file, "--channel", "google", "--on", "2027-01-31")
    assert (before, statuses(early, "advice", "fail")["min_shortest_side"]) == (0, "advice")
    assert (after, statuses(late, "advice", "fail")["min_shortest_side"]) == (1, "fail")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing-here.jpg"],
        [],
        ["GOOD", "--channel", "nowhere"],
        ["GOOD", "GOOD", "--url", "https://shop.example/a.jpg"],
        ["GOOD", "--on", "tomorrow"],
    ],
)
def test_a_wrong_call_exits_with_2(good: Path, arguments: list[str]) -> None:
    named = [str(good) if argument == "GOOD" else argument for argument in arguments]
    result = runner.invoke(app, ["channels", "check", *named])
    assert result.exit_code == 2
    assert "Error" in result.stderr
