"""`python -m serve.fetcher check`: one JSON line per URL, whatever the URLs are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOSTILE = [
    "",
    " ",
    "-",
    "https://photos.example/\x01\x1b[31m",
    "https://photos.example/\n{}",
    b"https://photos.example/\xff\xfe",
    "https://\u0000".replace("\u0000", "\u2028"),
    "https://\u2460\u2461.example/",
    "https://photos.example/" + "a" * 100_000,
    "https://" + "a." * 50_000,
    "[" * 1000,
    "https://[" + ":" * 1000 + "]/",
    "https://" + "9" * 5000 + "/",
    "https://photos.example:" + "9" * 5000 + "/",
    "%s%n%d",
    "s3://",
    "file://",
]


def run(*arguments: str | bytes, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serve.fetcher", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("VITRINE_SERVE_")}
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**clean, **env}, check=False, timeout=120
    )


def verdicts(*arguments: str | bytes, **env: str) -> list[dict[str, object]]:
    result = run("check", *arguments, **env)
    assert (result.returncode, result.stderr) == (0, "")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(list(line) == ["url", "allowed", "reason", "address"] for line in lines)
    return lines


def test_each_url_gets_a_line_in_order() -> None:
    told = ["--resolve", "Photos.Example=8.8.8.8,2606:4700::1111", "--resolve", "mixed.example=1.1.1.1,10.0.0.1"]
    lines = verdicts(
        "https://photos.example/a.jpg",
        *told,
        "https://mixed.example/",
        "https://empty.example/",
        "--resolve=empty.example=",
        "https://v6.example/",
        "--resolve=v6.example=[::ffff:169.254.169.254]",
        "https://odd.example/",
        "--resolve=odd.example=127.1",
        "http://2130706433/",
        "http://photos.example/",
        "https://1.1.1.1/",
        # What is told of an address is not believed.
        "https://127.0.0.1/",
        "--resolve=127.0.0.1=8.8.8.8",
    )
    found = [(line["allowed"], line["reason"], line["address"]) for line in lines]
    assert found == [
        (True, "allowed", "8.8.8.8"),
        (False, "private", "10.0.0.1"),
        (False, "no address", None),
        (False, "link-local", "::ffff:169.254.169.254"),
        (False, "not an IP address", "127.1"),
        (False, "loopback", "127.0.0.1"),
        (False, "plain http is not allowed", None),
        (True, "allowed", "1.1.1.1"),
        (False, "loopback", "127.0.0.1"),
    ]
    assert lines[0]["url"] == "https://photos.example/a.jpg"


def test_hostile_urls_get_their_line_too() -> None:
    lines = verdicts("--resolve", "photos.example=8.8.8.8", "--", *HOSTILE)
    assert len(lines) == len(HOSTILE)
    assert [line["url"] for line in lines] == [
        url.decode("utf-8", "surrogateescape") if isinstance(url, bytes) else url for url in HOSTILE
    ]
    assert not any(line["allowed"] for line in lines)


def test_without_an_answer_told_the_system_is_asked() -> None:
    lines = verdicts("https://localhost/", "https://nowhere.invalid/", "--resolve", "other.example=8.8.8.8")
    assert lines[0]["reason"] == "loopback"
    assert (lines[1]["allowed"], lines[1]["reason"]) == (False, "the name cannot be resolved")


def test_the_settings_of_the_fetcher_count(tmp_path: Path) -> None:
    urls = ["http://127.0.0.1:9000/a", "s3://listed/a", "s3://other/a", "file:///a"]
    assert not any(line["allowed"] for line in verdicts(*urls))
    env = {
        "VITRINE_SERVE_FETCH_ALLOW": "127.0.0.1:9000",
        "VITRINE_SERVE_FETCH_BUCKETS": "listed",
        "VITRINE_SERVE_FETCH_FILES": str(tmp_path),
    }
    assert [line["allowed"] for line in verdicts(*urls, **env)] == [True, True, False, True]


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        ([], {}),
        (["check"], {}),
        (["fetch", "https://photos.example/"], {}),
        (["check", "https://photos.example/", "--resolve", "photos.example"], {}),
        (["check", "https://photos.example/"], {"VITRINE_SERVE_FETCH_MAX_BYTES": "none"}),
    ],
)
def test_a_wrong_command_is_told_apart_from_a_refused_url(arguments: list[str], env: dict[str, str]) -> None:
    result = run(*arguments, **env)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr
    assert "Traceback" not in result.stderr
