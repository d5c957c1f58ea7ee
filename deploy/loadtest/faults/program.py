"""Which faults a run has, and in which order."""

import random
from collections.abc import Sequence

from deploy.errors import DeployError
from deploy.loadtest.faults.kinds import (
    AddConsumer,
    Fault,
    FreezeBroker,
    FreezeConsumer,
    FreezeReplica,
    KillBroker,
    KillConsumer,
    KillGroupCoordinator,
    KillReplica,
    KillTransactionCoordinator,
    MoveGroupCoordinator,
    RedeployServe,
    StopConsumer,
)
from deploy.loadtest.faults.store_kinds import CutStore, DenyStore, ResetStore, SlowStore, ThrottleStore

#: In the order in which a short program takes them: the widest cover first.
FAULTS: tuple[Fault, ...] = (
    KillConsumer(),
    KillBroker(),
    CutStore(),
    KillReplica(),
    FreezeConsumer(),
    KillGroupCoordinator(),
    KillTransactionCoordinator(),
    StopConsumer(),
    RedeployServe(),
    MoveGroupCoordinator(),
    AddConsumer(),
    SlowStore(),
    ResetStore(),
    DenyStore(),
    FreezeReplica(),
    FreezeBroker(),
    ThrottleStore(),
)


def program(wanted: str, seed: int, *, transactional: bool) -> list[Fault]:
    """The faults of a run: names with commas between them, or a number; then all kinds in turn, shuffled by the seed.

    Raises:
        DeployError: for a name that no fault has.
    """
    if not wanted.isdigit():
        return [named(name.strip()) for name in wanted.split(",") if name.strip()]
    kinds = [fault for fault in FAULTS if transactional or not fault.transactional]
    return in_turn(kinds, int(wanted), random.Random(seed))  # noqa: S311 - a game of chance


def named(name: str) -> Fault:
    """The fault of this name; `DeployError` where there is none."""
    for fault in FAULTS:
        if fault.name == name:
            return fault
    raise DeployError(f"no fault {name!r}; there are {', '.join(fault.name for fault in FAULTS)}")


def in_turn(kinds: Sequence[Fault], count: int, chance: random.Random) -> list[Fault]:
    """So many faults: all kinds before one comes twice, each time in another order."""
    chosen: list[Fault] = []
    while len(chosen) < count:
        turn = list(kinds[: count - len(chosen)])
        chance.shuffle(turn)
        chosen += turn
    return chosen
