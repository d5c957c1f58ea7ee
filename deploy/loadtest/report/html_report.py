"""The report as one HTML file that asks for nothing from anywhere, and the ledger's rows as a file beside it."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

from deploy.loadtest.document import RunDocument, SearchDocument
from deploy.loadtest.ledger.row import LedgerRow
from deploy.loadtest.report.page import search
from deploy.loadtest.report.page.about import about, errors
from deploy.loadtest.report.page.course import course, resources
from deploy.loadtest.report.page.elements import text
from deploy.loadtest.report.page.latency import kinds, latency, stages
from deploy.loadtest.report.page.ledger import ledger
from deploy.loadtest.report.page.verdict import objectives, verdict
from deploy.loadtest.report.rows import EMBEDDED, KeptRows, write_rows
from deploy.loadtest.report.words import rate, seconds

PAGE = "report.html"
ROWS = "ledger.csv.gz"


def write_report(
    document: RunDocument, rows: Iterable[LedgerRow], out: Path, *, command: str, embedded: int = EMBEDDED
) -> Path:
    """Write `report.html` and `ledger.csv.gz` into the folder `out`; returns the page. `rows` come in any order.

    The page carries `embedded` rows at most, besides all with a problem.
    """
    kept = write_rows(rows, out / ROWS, embedded)
    return _written(out / PAGE, run_page(document, kept, command=command))


def write_search_report(document: SearchDocument, out: Path, *, command: str = "") -> Path:
    """Write `report.html` into the folder `out`; returns it."""
    return _written(out / PAGE, search_page(document, command=command))


def _written(path: Path, page: str) -> Path:
    path.write_bytes(page.encode("utf-8", "replace"))
    return path


def run_page(document: RunDocument, kept: KeptRows, *, command: str) -> str:
    """The page of a run."""
    driver = document.config.get("driver")
    parts = [f"driver {driver}" if driver else "", rate(document.offered), seconds(document.duration_s)]
    sections = [
        objectives(document),
        latency(document),
        stages(document),
        course(document),
        resources(document),
        kinds(document),
        errors(document),
        ledger(document, kept, ROWS),
        about(document, command),
    ]
    head = _head("load test", [part for part in parts if part], f"{document.started_at:%d %B %Y, %H:%M %Z}")
    main = _navigation(document) + "\n".join(part for part in sections if part)
    return _page(
        f"Load test {document.started_at:%Y-%m-%d %H:%M}",
        f"<header>{head}\n{verdict(document)}</header>\n<main>{main}</main>",
        "" if document.valid else "invalid",
    )


def search_page(document: SearchDocument, *, command: str) -> str:
    """The page of a search."""
    head = _head("capacity search", [f"driver {document.driver}"], f"{document.started_at:%d %B %Y, %H:%M %Z}")
    main = "\n".join((search.curves(document), search.probes(document), search.about(document, command)))
    return _page(
        f"Capacity search {document.started_at:%Y-%m-%d %H:%M}",
        f"<header>{head}\n{search.found(document)}</header>\n<main>{main}</main>",
        "",
    )


def _head(name: str, parts: Sequence[str], when: str) -> str:
    return f'<p class="masthead"><span><b>Vitrine</b> {name}</span><span>{text(" · ".join([*parts, when]))}</span></p>'


def _navigation(document: RunDocument) -> str:
    anchors = {
        "slo": "SLO",
        "latency": "Latency",
        "stages": "Stages" if document.stages else "",
        "course": "Over time",
        "resources": "Resources",
        "kinds": "Kinds" if document.kinds else "",
        "errors": "Errors",
        "ledger": "Ledger",
        "about": "How it was measured",
    }
    links = "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name in anchors.items() if name)
    return f'<nav aria-label="sections">{links}</nav>\n'


def _page(title: str, body: str, class_: str) -> str:
    here = files("deploy.loadtest.report")
    style, script = ((here / name).read_text("utf-8") for name in ("page.css", "page.js"))
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Nothing may be loaded, and only this very script may run, whatever an event id contains.
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{text(title)}</title>
<style>
{style}</style>
</head>
<body class="{class_}">
{body}
<footer>Made by <code>vitrine loadtest</code>. The figures for programs are in the JSON file beside this page.</footer>
<script>{script}</script>
</body>
</html>
"""
