"""The contact sheet as one HTML file: thumbnails inside, no script, no request to anywhere."""

from html import escape
from importlib.resources import files

from deploy.demo.sheet import Extra, Row, Sheet, Tile, readable
from deploy.demo.thumbnails import data_uri

_ORIGINAL_SIDE = 480
_TILE_HEIGHT = 320
#: Nothing may be loaded or run, whatever a title contains.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_VERDICTS = {"publish": "published", "review": "to review", "reject": "rejected", "failed": "failed"}


def html(sheet: Sheet) -> str:
    """The whole page."""
    style = files("deploy.demo").joinpath("contact_sheet.css").read_text()
    rows = "\n".join(_row(row) for row in sheet.rows)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>Vitrine: contact sheet</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>Contact sheet</h1>
<p class="lead">Each seller's photo, and beside it what Vitrine made of it, as it lies in the object store.</p>
{_figures(sheet)}
</header>
<main>
{rows}
{_extras(sheet)}
</main>
<footer>Made by <code>vitrine demo</code>. The pictures in full size are in <code>images/</code> beside this page.
</footer>
</body>
</html>
"""


def _figures(sheet: Sheet) -> str:
    cells = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>" for label, value in sheet.figures.items()
    )
    return f'<dl class="figures">{cells}</dl>' if cells else ""


def _row(row: Row) -> str:
    reason = f'<span class="meta">{escape(row.reason)}</span>' if row.reason else ""
    tiles = "\n".join(_tile(tile, row) for tile in row.tiles)
    return f"""<article class="listing">
<div class="head"><h2>{escape(row.title)}</h2>{_badge(row.outcome, readable(row.outcome).lower())}
<span class="meta">{escape(row.listing_id)}</span>{reason}</div>
<div class="strip">
<figure><img src="{data_uri(row.original, _ORIGINAL_SIDE)}" alt="{escape(f"Photo of the seller: {row.title}")}">
<figcaption><span class="meta">Seller's photo</span></figcaption></figure>
<div class="variants">
{tiles}
</div>
</div>
</article>"""


def _tile(tile: Tile, row: Row) -> str:
    if tile.path is None:
        picture = '<div class="none">no picture</div>'
    else:
        uri = data_uri(tile.path, round(_TILE_HEIGHT * max(1.0, tile.ratio)), _TILE_HEIGHT)
        picture = f'<img src="{uri}" alt="{escape(f"{row.title}: {tile.name}")}">'
    why = f'<p class="why">{escape("; ".join(tile.reasons))}</p>' if tile.reasons else ""
    badge = _badge(tile.verdict, _VERDICTS.get(tile.verdict, tile.verdict))
    return (
        f'<figure style="--ratio: {tile.ratio:.3f}">{picture}<figcaption>'
        f'<div class="row"><span>{escape(tile.name)}</span>{badge}</div>{why}</figcaption></figure>'
    )


def _extras(sheet: Sheet) -> str:
    if not sheet.extras:
        return ""
    lines = "\n".join(_extra(extra) for extra in sheet.extras)
    return f"""<section class="listing extras">
<h2>Sent on purpose, to show how trouble is answered</h2>
<table>
<thead><tr><th>sent</th><th>ended as</th><th>code</th><th>message</th></tr></thead>
<tbody>
{lines}
</tbody>
</table>
</section>"""


def _extra(extra: Extra) -> str:
    code = f"<code>{escape(extra.code)}</code>" if extra.code else ""
    wrong = "" if extra.right else f" {_badge('wrong', 'not as expected')}"
    return (
        f"<tr><td>{escape(extra.label)}</td><td>{_badge(extra.ending, readable(extra.ending).lower())}{wrong}</td>"
        f"<td>{code}</td><td>{escape(extra.message or '')}</td></tr>"
    )


def _badge(kind: str, text: str) -> str:
    return f'<span class="badge {escape(kind.replace(" ", "-"))}">{escape(text)}</span>'
