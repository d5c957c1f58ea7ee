"""The rules of the rooms hold, and the check that holds them can fail."""

import configparser
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.contracts.structure import CONSUMERS, SERVE, Groups, arrows
from deploy.contracts.structure import ROOMS as ROOMS_DRAWN

ROOT = Path(__file__).parents[2]
ROOMS = ("consumers", "deploy", "models", "serve")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(
        command, check=False, cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("models/cutout/backend.py", "import pydantic", "Models know no services"),
        ("consumers/events.py", "import serve.interfaces", "Consumers know only the data contracts"),
        ("consumers/events.py", "import serve.batching", "Consumers know only the data contracts"),
        ("consumers/core/engine.py", "import time", "The decision core of the consumers does no I/O"),
        ("consumers/dead_letters.py", "import consumers.shell.poll", "Consumers: one-way layers"),
        ("serve/errors.py", "import ray", "Only serve.app knows Ray"),
        ("serve/schemas/result.py", "import serve.errors", "Serve: one-way layers"),
    ],
)
def test_a_planted_violation_is_caught(tmp_path: Path, module: str, line: str, contract: str) -> None:
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")
    result = lint_imports(tmp_path)
    assert result.returncode != 0
    broken = [text for text in result.stdout.splitlines() if "BROKEN" in text]
    assert any(contract in text for text in broken), result.stdout


def test_every_part_of_serve_but_its_schemas_is_forbidden_to_consumers() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    forbidden = contracts["importlinter:contract:consumers-know-schemas-only"]["forbidden_modules"].split()
    parts = {f"serve.{path.stem}" for path in (ROOT / "serve").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert parts - {"serve.schemas", "serve.__init__", "serve.__pycache__", "serve.README"} <= set(forbidden)


@pytest.mark.parametrize(
    "module", ["consumers.worker", "serve.schemas.exchange", "serve.schemas.result", "serve.pipeline"]
)
def test_light_modules_load_neither_ray_nor_torch(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'ray', 'torch'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_modules_stay_small() -> None:
    sizes = {
        path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines())
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
    }
    assert statistics.median(sizes.values()) <= 120
    assert {path: lines for path, lines in sizes.items() if lines > 300} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_a_readme_that_names_its_files(room: str) -> None:
    text = (ROOT / room / "README.md").read_text(encoding="utf-8")
    parts = {path.name for path in (ROOT / room).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    missing = {part for part in parts - {"__init__.py"} if part.removesuffix(".py") not in text}
    assert missing == set()


@pytest.mark.parametrize("groups", [ROOMS_DRAWN, CONSUMERS, SERVE], ids=["rooms", "consumers", "serve"])
def test_every_arrow_of_the_drawing_points_down(groups: Groups) -> None:
    order = list(groups)
    drawn = arrows(groups)
    assert len(drawn) >= len(order) - 1
    assert [pair for pair in drawn if order.index(pair[0]) > order.index(pair[1])] == []


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *(ROOT / room / "README.md" for room in (*ROOMS, "tests"))], ids=str
)
def test_links_of_the_readmes_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
