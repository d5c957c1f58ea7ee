"""Which contract files there are, and what each should hold."""

import json
from importlib.metadata import version
from pathlib import Path

import yaml

from deploy.contracts import asyncapi, outcomes, settings_table, structure
from deploy.contracts.json_schemas import json_schemas

FOLDER = Path(__file__).parent


def expected() -> dict[Path, str]:
    """Text by path, relative to this folder."""
    schemas = {Path("schemas") / f"{name}.json": _json(schema) for name, schema in json_schemas().items()}
    document = asyncapi.document(version("vitrine"))
    return schemas | {
        Path("asyncapi.yaml"): yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=True),
        Path("outcomes.md"): outcomes.markdown(),
        Path("settings.md"): settings_table.markdown(),
        Path("structure.md"): structure.markdown(),
    }


def _json(schema: object) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def stale(folder: Path = FOLDER) -> list[Path]:
    """The files that are missing or differ from the code."""
    return [
        path
        for path, text in expected().items()
        if not (folder / path).is_file() or (folder / path).read_text(encoding="utf-8") != text
    ]


def write(folder: Path = FOLDER) -> list[Path]:
    """Bring all files up to date; give those that changed."""
    changed = stale(folder)
    texts = expected()
    for path in changed:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(texts[path], encoding="utf-8")
    return changed
