"""Terms in texts, also where somebody hides them: normal forms, words, and where a list of words occurs.

Unicode Standard Annex 15 (normalisation) and Technical Standard 39 (look-alikes; only the common letters are here).
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import chain

#: Letters that look like Latin ones, after case folding: Cyrillic, Greek, and Latin with strokes. Terms are changed
#: alike, so words of those scripts are still found.
_LOOK_ALIKE = {
    ord(sign): latin
    for latin, signs in {
        "a": "\u0430\u03b1\u0251",
        "b": "\u0432\u03b2",
        "c": "\u0441\u03f2",
        "d": "\u0501\u0111",
        "e": "\u0435\u03b5",
        "g": "\u0261",
        "h": "\u043d\u04bb\u03b7\u0127",
        "i": "\u0456\u03b9\u0131",
        "j": "\u0458",
        "k": "\u043a\u03ba",
        "l": "\u0142",
        "m": "\u043c\u03bc",
        "n": "\u03bd",
        "o": "\u043e\u03bf\u00f8",
        "p": "\u0440\u03c1",
        "q": "\u051b",
        "s": "\u0455",
        "t": "\u0442\u03c4\u0167",
        "v": "\u0475",
        "w": "\u051d",
        "x": "\u0445\u03c7",
        "y": "\u0443\u03c5",
        "z": "\u03b6",
    }.items()
    for sign in signs
}
#: Nothing that one sees: control characters that are no spaces, fillers and variation selectors. Format characters,
#: such as joiners, are found by their category.
_UNSEEN = dict.fromkeys(
    chain(
        (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        (*range(0x09), *range(0x0E, 0x1C), *range(0x7F, 0x85), *range(0x86, 0xA0)),
        (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
    )
)
#: Accents and strokes over, under and through letters of scripts that can do without; vowel signs of others stay.
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
#: Scripts that put no spaces between words; each sign counts as a word. Thai to Khmer, kana, Han.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_WORDS = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}_])\w)+")
#: A text changes two or three times until its normal form stays.
_ROUNDS = 8


def normal(text: str) -> str:
    """The text without case, width, accents, invisible signs and look-alike letters; twice is the same as once."""
    for _ in range(_ROUNDS):
        before = text
        text = unicodedata.normalize("NFKD", text.casefold()).casefold()
        text = _MARKS.sub("", text).translate(_UNSEEN).translate(_LOOK_ALIKE)
        text = "".join(sign for sign in text if sign.isascii() or unicodedata.category(sign) not in {"Cf", "Co", "Cn"})
        text = unicodedata.normalize("NFKC", text)
        if text == before:
            break
    return text


def words_of(text: str) -> list[str]:
    """The words of a text in their normal form; a sign of a script without spaces is a word by itself."""
    return _WORDS.findall(normal(text))


class TermList:
    """Many terms, looked up at once: the time does not grow with their number."""

    def __init__(self, terms: Mapping[str, Iterable[str]]) -> None:
        """`terms`: the name of a rule -> its terms."""
        self._starting: dict[str, list[tuple[list[str], str, str]]] = {}
        for rule, written in terms.items():
            for term in written:
                words = words_of(term)
                self._starting.setdefault(words[0], []).append((words, rule, term))

    def __bool__(self) -> bool:
        return bool(self._starting)

    def found(self, text: str) -> dict[str, str]:
        """The rules with a term that occurs in the text as whole words, each with the first such term."""
        words = words_of(text)
        hits: dict[str, str] = {}
        for place, word in enumerate(words):
            for wanted, rule, term in self._starting.get(word, ()):
                if words[place : place + len(wanted)] == wanted:
                    hits.setdefault(rule, term)
        return hits
