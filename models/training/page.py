"""The pages that show runs, one or several side by side. Plain HTML without scripts; nothing comes from elsewhere."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from models.training.record import Record

#: Seconds between two looks of the browser at a run that goes on.
_REFRESH = 30

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
{refresh}<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 1500px; }}
h1 {{ font-size: 1.4rem; margin: 0; }} h2 {{ font-size: 1.05rem; margin: 1.6rem 0 .4rem; }}
p {{ margin: .2rem 0; }} .quiet {{ opacity: .7; }}
progress {{ width: min(100%, 30rem); }}
img {{ display: block; max-width: 100%; height: auto; background: #fff; border-radius: 6px; }}
.wide {{ overflow-x: auto; }}
.side {{ display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }}
.strip {{ display: flex; gap: .8rem; overflow-x: auto; padding-bottom: .6rem; }} .strip figure {{ flex: 0 0 18rem; }}
figure {{ margin: 0; }} figcaption {{ font-size: .85rem; opacity: .7; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
td, th {{ padding: .15rem .8rem .15rem 0; text-align: right; white-space: nowrap; }}
tr {{ border-bottom: 1px solid var(--line); }}
dl {{ display: grid; gap: .2rem 1.5rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }}
dl div {{ display: flex; gap: .8rem; justify-content: space-between; border-bottom: 1px solid var(--line); }}
dt {{ opacity: .7; }} dd {{ margin: 0; text-align: right; overflow-wrap: anywhere; }}
td:first-child, th:first-child {{ text-align: left; }}
</style></head><body>
{body}
</body></html>
"""


def run_page(run: Record, samples: Sequence[tuple[int, str]]) -> str:
    """The page of one run; `samples` are steps and paths of pictures, oldest first."""
    going_on = run["step"] < run["steps"]
    parts = [
        f"<h1>{escape(run['name'])} {escape(run['version'])}</h1>",
        f'<p><progress max="{run["steps"]}" value="{run["step"]}"></progress></p>',
        f'<p class="quiet">{escape(_progress(run))}</p>',
    ]
    if "weights" in run:
        parts.append(f"<p>Exported as {escape(run['weights']['version'])}, {_share_of(run['weights'])}.</p>")
    parts.append('<div class="side">')
    parts.append(f"<section><h2>Loss</h2>{_picture('losses.png', 'the terms of the loss over the steps')}</section>")
    if run["figures"]:
        parts.append(
            f"<section><h2>Validation</h2>{_picture('figures.png', 'figures of the validation over the steps')}"
            f'<div class="wide">{_table(*_validations(run))}</div></section>'
        )
    parts.append("</div>")
    if samples:
        step, newest = samples[-1]
        parts.append(f"<h2>Samples</h2><figure>{_picture(newest, f'samples at step {step}')}")
        parts.append(f"<figcaption>step {step}</figcaption></figure>")
    if len(samples) > 1:
        earlier = [
            f"<figure>{_picture(path, '')}<figcaption>step {step}</figcaption></figure>" for step, path in samples
        ]
        parts.append(f'<h2>From the start</h2><div class="strip">{"".join(earlier)}</div>')
    parts.append(f"<h2>Recipe</h2>{_values(run['recipe'])}<h2>Made with</h2>{_values(run['versions'])}")
    refresh = f'<meta http-equiv="refresh" content="{_REFRESH}">\n' if going_on else ""
    return _PAGE.format(title=escape(f"{run['name']}: step {run['step']}"), refresh=refresh, body="\n".join(parts))


def comparison_page(runs: Mapping[str, Record], samples: Mapping[str, str]) -> str:
    """Several runs beside each other; `samples` are the newest pictures of those that have any."""
    names = sorted({name for run in runs.values() for name in _last_figures(run)})
    rows = [
        ["steps", *[f"{run['step']} of {run['steps']}" for run in runs.values()]],
        ["minutes", *[f"{run['seconds'] / 60:.1f}" for run in runs.values()]],
        *[[name, *[_number(_last_figures(run).get(name)) for run in runs.values()]] for name in names],
        *[[name, *[str(run["recipe"].get(name, "")) for run in runs.values()]] for name in _differing(runs)],
    ]
    shown = [
        f"<section><h2>{escape(title)}</h2>{_picture(samples[title], 'samples') if title in samples else ''}</section>"
        for title in runs
    ]
    parts = [
        f"<h1>{len(runs)} runs</h1>",
        f'<div class="wide">{_table(["", *runs], rows)}</div>',
        f'<div class="side"><section><h2>Loss</h2>{_picture("losses.png", "losses")}</section>',
        f"<section><h2>Validation</h2>{_picture('figures.png', 'figures')}</section></div>",
        f'<div class="side">{"".join(shown)}</div>',
    ]
    return _PAGE.format(title="runs side by side", refresh="", body="\n".join(parts))


def _progress(run: Record) -> str:
    done, all_steps, seconds = run["step"], run["steps"], run["seconds"]
    text = f"step {done:,} of {all_steps:,}"
    if done and seconds:
        text += f" in {seconds / 60:.1f} minutes, {seconds / done:.3g} s per step"
        text += f", about {(all_steps - done) * seconds / done / 60:.1f} minutes to go" if done < all_steps else ""
    workers = f", {run['workers']} workers" if run["workers"] > 1 else ""
    return f"{text} · {run['device']}, {run['threads']} threads{workers} · {run['parameters']:,} parameters"


def _share_of(weights: Mapping[str, Any]) -> str:
    return f"{weights['bytes'] / 1e6:.1f} MB"


def _last_figures(run: Record) -> dict[str, float]:
    return {name: value for name, value in run["figures"][-1].items() if name != "step"} if run["figures"] else {}


def _differing(runs: Mapping[str, Record]) -> list[str]:
    """The values of the recipes that are not the same in all runs."""
    recipes = [run["recipe"] for run in runs.values()]
    names = list(dict.fromkeys(name for recipe in recipes for name in recipe))
    return [name for name in names if any(recipe.get(name) != recipes[0].get(name) for recipe in recipes)]


def _validations(run: Record, most: int = 6) -> tuple[list[str], list[list[str]]]:
    """Heading and rows: the newest validations, a row per figure."""
    newest = run["figures"][-most:]
    names = [name for name in newest[-1] if name != "step"]
    rows = [[name, *[_number(each.get(name)) for each in newest]] for name in names]
    return ["step", *[f"{each['step']:,}" for each in newest]], rows


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heading)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _values(values: Mapping[str, Any]) -> str:
    items = [f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>" for name, value in values.items()]
    return f"<dl>{''.join(items)}</dl>"


def _picture(path: str, text: str) -> str:
    link = escape(path, quote=True)
    return f'<a href="{link}"><img loading="lazy" src="{link}" alt="{escape(text, quote=True)}"></a>'
