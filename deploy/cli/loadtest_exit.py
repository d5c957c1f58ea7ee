"""How `vitrine loadtest` ends: exit codes that a pipeline can go by, others than those of the rest of `vitrine`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from deploy.cli import _debug, settings_faults
from deploy.cli.console import print_error
from deploy.errors import DeployError
from deploy.loadtest.attempt import INTERRUPTED
from deploy.loadtest.document import RunDocument
from deploy.loadtest.inputs import BadInput

#: Valid and the SLO met; no regression; a capacity was found.
MET = 0
#: The SLO was missed; a regression; no rate meets the SLO.
MISSED = 1
#: Nothing can be concluded: the run is not valid, or could not be carried through.
INVALID = 2
#: Wrong options, settings or input files. Nothing was started.
USAGE = 3
#: Ctrl-C.
CTRL_C = 130

#: What the command line parser exits with where options are wrong.
_PARSER_USAGE = 2


@contextmanager
def inputs_read() -> Iterator[None]:
    """Within the block, what cannot be read or understood is a wrong input, and no run that failed."""
    try:
        yield
    except BadInput:
        raise
    except (DeployError, OSError) as error:
        raise BadInput(str(error)) from error


def code_of(document: RunDocument) -> int:
    """The exit code for a run."""
    if any(reason.startswith(INTERRUPTED) for reason in document.invalid):
        return CTRL_C
    if not document.valid:
        return INVALID
    return MET if document.slo.met else MISSED


class LoadTestGroup(TyperGroup):
    """A group with exit codes of its own."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse what stands before the subcommand."""
        return _ended(lambda: super(LoadTestGroup, self).make_context(*args, **kwargs))

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand."""
        return _ended(lambda: super(LoadTestGroup, self).invoke(ctx))


def _ended(work: Callable[[], Any]) -> Any:
    """The work, with errors told on stderr and turned into exit codes."""
    try:
        return work()
    except (typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except BadInput as error:
        _tell(error, USAGE)
    except DeployError as error:
        _tell(error, INVALID)
    except ValidationError as error:
        # Only settings are validated outside the commands.
        for line in settings_faults(error):
            print_error(line)
        raise typer.Exit(USAGE) from error
    except Exception as error:
        # The parser's errors, which print themselves; their class is private to the parser.
        if getattr(error, "exit_code", None) == _PARSER_USAGE:
            error.exit_code = USAGE  # type: ignore[attr-defined]
            raise
        if _debug():
            raise
        print_error(f"{type(error).__name__}: {error} (vitrine --debug shows where)")
        raise typer.Exit(INVALID) from error


def _tell(error: DeployError, code: int) -> None:
    if _debug():
        raise error
    print_error(str(error))
    raise typer.Exit(code) from error
