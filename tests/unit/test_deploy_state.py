"""The state file survives crashes and tells when it cannot be trusted."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import StateConflict
from deploy.services.atomic import write_atomically
from deploy.services.interface import Endpoints
from deploy.services.processes import ProcessRecord
from deploy.services.state import StackState, StateFile

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
endpoints = st.builds(
    Endpoints,
    bootstrap=st.none() | words,
    kafka_api_version=st.none() | st.tuples(st.integers(0, 4), st.integers(0, 11)),
    s3_endpoint=st.none() | words,
    secret_key=words,
)
records = st.builds(ProcessRecord, name=words, pid=st.integers(1, 2**22), started=words, log=words)


@given(state=st.builds(StackState, endpoints=endpoints, processes=st.lists(records, max_size=4)))
def test_what_is_written_is_read(state: StackState, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = StateFile(tmp_path_factory.mktemp("state"))
    file.write(state)
    assert file.read() == state


def test_no_file_means_nothing_runs(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "never-made")
    assert file.read() is None
    file.remove()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"processes": []}'])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(StateConflict, match=r"state\.json is not a state file"):
        StateFile(tmp_path).read()


def test_a_file_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    file = StateFile(tmp_path)
    file.write(StackState(endpoints=Endpoints(), processes=[], version=99))
    with pytest.raises(StateConflict, match="version 99"):
        file.read()


def test_two_commands_do_not_hold_the_same_folder(tmp_path: Path) -> None:
    with (
        StateFile(tmp_path).locked(),
        pytest.raises(StateConflict, match="another vitrine command"),
        StateFile(tmp_path).locked(),
    ):
        pass
    with StateFile(tmp_path).locked():
        pass


def test_a_failed_write_leaves_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"
