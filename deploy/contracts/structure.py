"""The drawing of the import structure: which group of modules imports which, read off the code, as Mermaid."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
Groups = Mapping[str, tuple[str, ...]]

#: Each drawing lists its groups from top to bottom; a group is known by the modules that it holds.
ROOMS: Groups = {room: (room,) for room in ("deploy", "consumers", "serve", "models")}
CONSUMERS: Groups = {
    "worker": ("consumers.worker", "consumers.__main__"),
    "tools: dead letters, replay, lag": ("consumers.tools",),
    "shell: threads and clients": ("consumers.shell", "consumers.reader"),
    "dead letters, retries": ("consumers.dead_letters", "consumers.retries"),
    "core: all decisions": ("consumers.core",),
    "events, results": ("consumers.events", "consumers.results", "consumers.records", "consumers.headers"),
    "serve.schemas": ("serve.schemas",),
}
SERVE: Groups = {
    "app (Ray)": ("serve.app",),
    "ingress (HTTP)": ("serve.ingress",),
    "studio (assembly)": ("serve.studio",),
    "pipeline": ("serve.pipeline",),
    "production, preview": ("serve.production", "serve.preview"),
    "darkroom, report": ("serve.darkroom", "serve.report"),
    "stages": ("serve.stages",),
    "sources, pictures, storage, index": ("serve.fetcher", "serve.images", "serve.storage", "serve.index"),
    "privacy": ("serve.privacy",),
    "interfaces": ("serve.interfaces",),
    "catalog": ("serve.catalog",),
    "policy": ("serve.policy",),
    "errors": ("serve.errors",),
    "schemas": ("serve.schemas",),
    "models": ("models",),
}
_DRAWINGS = {"The rooms": ROOMS, "Inside consumers": CONSUMERS, "Inside serve": SERVE}


def arrows(groups: Groups, root: Path = ROOT) -> list[tuple[str, str]]:
    """The pairs of groups of which the first imports the second."""
    found = {
        (source, target)
        for module, imported in imports(root)
        if (source := _group(groups, module)) and (target := _group(groups, imported)) and source != target
    }
    order = list(groups)
    return sorted(found, key=lambda pair: (order.index(pair[0]), order.index(pair[1])))


def imports(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Every module of the rooms with every module that it imports, from anywhere in its text."""
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from ((module, name.name) for name in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield from ((module, f"{node.module}.{name.name}") for name in node.names)


def _group(groups: Groups, module: str) -> str | None:
    for name, members in groups.items():
        if any(module == member or module.startswith(f"{member}.") for member in members):
            return name
    return None


def markdown(root: Path = ROOT) -> str:
    """All drawings, for a page that renders Mermaid."""
    lines = [
        "# Import structure",
        "",
        "Drawn from the imports in the code by `make schemas`. Arrows point down only:",
        "a group never imports one above it.",
        "`.importlinter` holds the rules, `make check` runs them.",
    ]
    for title, groups in _DRAWINGS.items():
        number = {name: f"n{position}" for position, name in enumerate(groups)}
        lines += ["", f"## {title}", "", "```mermaid", "flowchart TD"]
        lines += [f'    {number[name]}["{name}"]' for name in groups]
        lines += [f"    {number[source]} --> {number[target]}" for source, target in arrows(groups, root)]
        lines += ["```"]
    return "\n".join(lines) + "\n"
