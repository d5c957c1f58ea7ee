"""Describe products: one JSON line per photo, with what was recognised, words in each language, and their evidence."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models.photo_files import files_of, read_photo
from models.pictures import Picture
from models.recognition.neighbours import Neighbour, Neighbours
from models.recognition.reader import NoReader, open_reader
from models.recognition.recognise import Recogniser, Recognition
from models.recognition.words import LANGUAGES, Statement, Words, words

_AT_ONCE = 8
_NEAREST = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What goes in, and how closely it is looked at."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="photos, or folders of photos")
    parser.add_argument("--index", type=Path, help="folder of an index of photos: searched first, then added to")
    parser.add_argument("--no-text", action="store_true", help="do not look for text (quicker)")
    parser.add_argument("--text-limit", type=float, default=5.0, help="seconds for the text of a photo")
    parser.add_argument("--product", type=Path, help="weights of the product net, the bundled ones by default")
    parser.add_argument("--attributes", type=Path, help="weights of the attribute heads, the bundled ones by default")
    parser.add_argument("--device", default="cpu")


def run(options: argparse.Namespace) -> int:
    """A bad file costs its own line only: it names the error."""
    reader = NoReader() if options.no_text else open_reader(limit_s=options.text_limit)
    recogniser = Recogniser.load(options.device, options.product, options.attributes, reader)
    paths = list(files_of(options.inputs))
    failed = 0
    with TemporaryDirectory() as folder:
        book = _Book(recogniser, options.index or Path(folder))
        for first in range(0, len(paths), _AT_ONCE):
            for line in book.lines(paths[first : first + _AT_ONCE]):
                failed += "error" in line
                sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
            sys.stdout.flush()
    return 0 if not failed else 2 if failed == len(paths) else 1


class _Book:
    """Recognises photos, and remembers them to find those that show the same."""

    def __init__(self, recogniser: Recogniser, index: Path) -> None:
        self._recogniser, self._folder = recogniser, index
        self._index: Neighbours | None = None

    def lines(self, paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
        """A line per path, in order."""
        read = [_read(path) for path in paths]
        good = [picture for picture in read if not isinstance(picture, str)]
        found = iter(self._recogniser.recognise(good))
        for path, picture in zip(paths, read, strict=True):
            if isinstance(picture, str):
                yield {"file": str(path), "error": picture}
            else:
                recognition = next(found)
                yield line_of(str(path), recognition, self._alike(path, recognition), self._recogniser.embedding)

    def _alike(self, path: Path, recognition: Recognition) -> list[Neighbour]:
        """The nearest photos before this one, which is added."""
        vector = recognition.embedding
        if self._index is None:
            self._index = Neighbours(self._folder, length=len(vector), made_by=self._recogniser.embedding)
        found = self._index.search(vector, _NEAREST, leave_out=[str(path)])
        self._index.add([str(path)], vector[None])
        return found


def _read(path: Path) -> Picture | str:
    try:
        return read_photo(path)
    except (ValueError, OSError) as error:
        return str(error)


def line_of(file: str, found: Recognition, alike: Sequence[Neighbour], embedding: str) -> dict[str, Any]:
    """What is known of a photo, as JSON values."""
    facts = found.facts
    return {
        "file": file,
        "category": asdict(facts.category) if facts.category else None,
        "colours": [
            {"name": one.colour.name.en, "zh": one.colour.name.zh, "srgb": one.colour.hex, "share": one.colour.share}
            | asdict(one.evidence)
            for one in facts.colours
        ],
        "pattern": asdict(facts.pattern) if facts.pattern else None,
        "text": {
            "state": found.reading.state.value,
            "on_product": [asdict(line) for line in facts.text],
            "beside": list(found.beside),
        },
        "embedding": embedding,
        "near_duplicates": [one.id for one in alike if one.near_duplicate],
        "alike": [{"file": one.id, "similarity": one.similarity} for one in alike],
        "words": {language: _worded(words(facts, language)) for language in LANGUAGES},
    }


def _worded(said: Words) -> dict[str, Any]:
    return {
        "title": _stated(said.title),
        "bullets": [_stated(one) for one in said.bullets],
        "tags": [_stated(one) for one in said.tags],
        "alt": _stated(said.alt),
    }


def _stated(said: Statement | None) -> dict[str, Any] | None:
    if said is None:
        return None
    evidence = [asdict(one) for one in said.evidence]
    return {"text": said.text, "confidence": said.confidence, "evidence": evidence}
