"""A manifest says which weights there are: by name and version, in a folder, a file, or behind any URI."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.registry.manifest import (
    MANIFEST,
    Source,
    WeightsEntry,
    WeightsError,
    enlist,
    find_weights,
    read_manifest,
    read_versions,
    write_manifest,
)
from models.registry.sources import read_bytes, refuse_pickle, require_hash, split, within

ENTRY = WeightsEntry(
    file="toy.safetensors", sha256="0" * 64, version="1", architecture="toy", config={}, licence="MIT", card="toy.md"
)
FIRST, SECOND = replace(ENTRY, version="1.0"), replace(ENTRY, version="1.1", file="toy-1.1.safetensors")


def written(folder: Path, content: object) -> Path:
    (folder / MANIFEST).write_text(json.dumps(content))
    return folder


def values(**changes: object) -> dict[str, object]:
    plain: dict[str, object] = {"file": "toy.safetensors", "sha256": "0" * 64, "version": "1", "architecture": "toy"}
    return plain | {"config": {}, "licence": "MIT", "card": "toy.md"} | changes


def test_the_first_version_is_meant_unless_another_is_asked_for(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"toy": [SECOND, FIRST], "other": ENTRY})
    assert find_weights("toy", "toy", tmp_path).entry == SECOND
    assert find_weights("toy", "toy", Source(tmp_path, version="1.0")).entry == FIRST
    assert find_weights("other", "toy", tmp_path / "toy-1.1.safetensors").name == "toy"
    assert read_manifest(tmp_path) == {"toy": SECOND, "other": ENTRY}
    with pytest.raises(WeightsError, match=r"no version '2' of 'toy', only: 1\.1, 1\.0"):
        find_weights("toy", "toy", Source(tmp_path, version="2"))


def test_enlisting_puts_first_and_keeps_as_many_as_asked(tmp_path: Path) -> None:
    enlist(tmp_path, "other", ENTRY)
    enlist(tmp_path, "toy", FIRST)
    enlist(tmp_path, "toy", SECOND, keep=1)
    assert read_versions(tmp_path) == {"other": (ENTRY,), "toy": (SECOND, FIRST)}
    enlist(tmp_path, "toy", replace(SECOND, licence="BSD-3-Clause"), keep=5)
    assert [entry.version for entry in read_versions(tmp_path)["toy"]] == ["1.1", "1.0"]
    enlist(tmp_path, "toy", SECOND)
    assert read_versions(tmp_path)["toy"] == (SECOND,)


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
entries = st.builds(
    replace,
    st.just(ENTRY),
    version=words,
    licence=st.just("") | words,
    recipe=st.text(st.characters(codec="utf-8"), max_size=20),
    parameters=st.integers(0, 10**9),
    config=st.dictionaries(words, st.integers() | st.lists(words, max_size=3) | st.none(), max_size=3),
    figures=st.dictionaries(words, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
)


@settings(max_examples=40)
@given(st.dictionaries(words, st.lists(entries, min_size=1, max_size=3, unique_by=lambda entry: entry.version)))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, listed: dict[str, list[WeightsEntry]]
) -> None:
    folder = tmp_path_factory.mktemp("weights")
    write_manifest(folder, listed)
    assert read_versions(folder) == {name: tuple(versions) for name, versions in listed.items()}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"colour": "red"}, "unknown field colour; known: file, sha256"),
        ({"version": 2}, "version is 2, not of type str"),
        ({"config": []}, r"config is \[\], not of type dict"),
        ({"file": "../toy.safetensors"}, "is not the plain name of a file"),
        ({"file": "/etc/toy.safetensors"}, "is not the plain name of a file"),
        ({"file": "s3://b/toy.safetensors"}, "is not the plain name of a file"),
        ({"card": "..\\toy.md"}, "is not the plain name of a file"),
        ({"file": "toy.onnx"}, r"'toy.onnx' is not a .safetensors file"),
        ({"file": "toy.pt"}, r"toy.pt is a pickle: reading it could run code.*save_file"),
        ({"file": "toy.BIN"}, "is a pickle"),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(tmp_path: Path, changed: dict[str, object], reason: str) -> None:
    written(tmp_path, {"toy": values(**changed)})
    with pytest.raises(WeightsError, match=reason):
        find_weights("toy", "toy", tmp_path)


@pytest.mark.parametrize(
    "content",
    [[], 3, {"toy": []}, {"toy": 3}, {"toy": [values(), values()]}, {"toy": {"file": "toy.safetensors"}}],
)
def test_a_malformed_manifest_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(WeightsError, match="is not a manifest"):
        read_versions(written(tmp_path, content))


def test_a_manifest_of_any_size_or_coding_is_refused_as_such(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(b"\xff{}")
    with pytest.raises(WeightsError, match="is not a manifest"):
        read_versions(tmp_path)
    (tmp_path / MANIFEST).write_bytes(b" " * 1_000_001)
    with pytest.raises(WeightsError, match="larger than 1,000,000 bytes"):
        read_versions(tmp_path)


def test_a_pickle_that_is_named_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is a pickle"):
        find_weights("toy", "toy", tmp_path / "missing.pth")
    refuse_pickle("toy.safetensors")


def test_a_uri_is_read_by_the_reader_that_is_handed_in() -> None:
    store = {"s3://shop/nets/weights.json": json.dumps({"toy": values()}).encode()}
    found = find_weights("toy", "toy", Source("s3://shop/nets/", read=store.__getitem__))
    assert (found.folder, found.file) == ("s3://shop/nets/", "s3://shop/nets/toy.safetensors")
    by_file = find_weights("any", "toy", Source("s3://shop/nets/toy.safetensors", read=store.__getitem__))
    assert (by_file.name, by_file.file) == ("toy", "s3://shop/nets/toy.safetensors")
    with pytest.raises(WeightsError, match=r"s3://shop/nets/weights.json cannot be read: hand in a reader"):
        find_weights("toy", "toy", "s3://shop/nets")


def test_what_a_reader_raises_is_kept_but_a_missing_file_is_named() -> None:
    def absent(uri: str) -> bytes:
        raise FileNotFoundError(uri)

    def cut_off(_: str) -> bytes:
        raise ConnectionError("try again")

    with pytest.raises(WeightsError, match=r"s3://b/weights.json cannot be read: there is no such file"):
        find_weights("toy", "toy", Source("s3://b", read=absent))
    with pytest.raises(ConnectionError, match="try again"):
        find_weights("toy", "toy", Source("s3://b", read=cut_off))


def test_too_much_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as sparse:
        sparse.truncate(10**12)
    with pytest.raises(WeightsError, match="larger than 1,000,000,000 bytes"):
        read_bytes(file)
    with pytest.raises(WeightsError, match="larger than 3 bytes"):
        read_bytes("mem://x", lambda _: b"four", 3)
    assert read_bytes("mem://x", lambda _: b"thr", 3) == b"thr"


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        read_bytes(tmp_path)


def test_hashes_are_compared_whatever_their_case() -> None:
    digest = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"
    require_hash("x", b"", digest, "the caller")
    with pytest.raises(WeightsError, match=r"x was altered: sha256 .* the caller says e3"):
        require_hash("x", b"y", digest.lower(), "the caller")


@given(st.sampled_from(["s3://bucket", "https://host/a/b"]), st.from_regex(r"[a-z]{1,8}\.[a-z]{1,4}", fullmatch=True))
def test_folder_and_name_of_a_uri_make_it_again(folder: str, name: str) -> None:
    assert split(within(folder, name)) == (folder, name)


def test_the_manifest_is_read_without_torch() -> None:
    code = (
        "import sys, models.registry.manifest as m; m.read_versions(m.bundled_folder()); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
