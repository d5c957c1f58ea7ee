"""The model card: what the weights are, what they were made from, how well they do, where they fail."""

from collections.abc import Mapping

from models.training.recipe import Recipe
from models.training.record import Record

#: Sections that a recipe writes, with their headings, in the order of the card.
SECTIONS = {
    "what": "What",
    "data": "Data and origin",
    "use": "Intended use",
    "limits": "Known failures",
    "licence": "Licence",
}
#: What every file that is made here is published under.
LICENCE = "Apache-2.0"


def model_card(recipe: Recipe, run: Record, version: str, figures: Mapping[str, float], dtype: str) -> str:
    """The card as Markdown; `figures` are those of the very file that was written."""
    told = {"licence": f"{LICENCE}, as the code.", **recipe.card()}
    parts = [
        f"# {recipe.name} {version}",
        *[_section(SECTIONS[key], told.get(key)) for key in ("what", "use", "data")],
        _section("Training", _training(recipe, run, dtype)),
        _section("Figures", _figures(figures)),
        *[_section(SECTIONS[key], told.get(key)) for key in ("limits", "licence")],
    ]
    return "\n\n".join(parts) + "\n"


def missing_sections(recipe: Recipe) -> list[str]:
    """What the recipe should say and does not."""
    return [key for key in SECTIONS if key != "licence" and not recipe.card().get(key, "").strip()]


def command(recipe: Recipe) -> str:
    """The command that trains such weights."""
    return f"python -m models.training {recipe.name} --data DIR"


def _section(heading: str, text: str | None) -> str:
    return f"## {heading}\n\n{(text or 'Nothing was written here yet.').strip()}"


def _training(recipe: Recipe, run: Record, dtype: str) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    workers = f", {run['workers']} workers" if run["workers"] > 1 else ""
    values = "\n".join(f"| `{name}` | {value} |" for name, value in run["recipe"].items())
    spent = f" in {run['seconds'] / 60:.0f} minutes" if run["seconds"] else ""
    begun = f"\nIt began with the weights {run['begun_with']}." if run.get("begun_with") else ""
    threads = f"{run['threads']} thread{'s' if run['threads'] > 1 else ''}"
    return (
        f"`{command(recipe)}`: {run['step']:,} of {run['steps']:,} steps{spent} on {run['device']} with "
        f"{threads}{workers}, seed {run['seed']}; {versions}.{begun}\n"
        f"Net `{recipe.architecture}`, {run['parameters']:,} parameters, stored as {dtype}.\n\n"
        f"| value | of this run |\n|---|---|\n{values}"
    )


def _figures(figures: Mapping[str, float]) -> str:
    """A table; names with a slash become rows of the second part and columns of the first."""
    count = f"On n = {figures['n']:,.0f} validation examples" if "n" in figures else "On the validation examples"
    single = {name: value for name, value in figures.items() if "/" not in name and name != "n"}
    rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in single.items())
    parts = [f"{count}, measured on the file as it was written.", f"| figure | value |\n|---|---|\n{rows}"]
    grouped = [name.partition("/") for name in figures if "/" in name]
    if grouped:
        columns = list(dict.fromkeys(group for group, _, _ in grouped))
        lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        for member in dict.fromkeys(member for _, _, member in grouped):
            values = [figures.get(f"{group}/{member}") for group in columns]
            lines.append(f"| {member} | {' | '.join('' if v is None else f'{v:.4g}' for v in values)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
