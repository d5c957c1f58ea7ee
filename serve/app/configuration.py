"""`user_config` of deploy/serve.yaml: swapped in a running replica, or refused without harm."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from ray.util import metrics

log = logging.getLogger(__name__)

#: A replica that takes over a configuration is given no new calls meanwhile, so it must not take for ever.
_PATIENCE_S = 300.0


class Configuration:
    """What a replica was told last, and whether it is in force.

    Serve would stop a replica whose `reconfigure` raises, all of them one after another, and start others that fail in
    the same way. So a replica that works keeps what it has, says so in its log, and shows it in
    `vitrine_configuration_refused`. One that starts must not begin with anything but what it was told: there it raises.
    """

    def __init__(self, apply: Callable[[Mapping[str, object]], Awaitable[None]]) -> None:
        self._apply = apply
        self._in_force: Mapping[str, object] = {}
        self._at_work = False
        self.refused = False
        self._gauge = metrics.Gauge(
            "vitrine_configuration_refused", "1 while a replica works with an older configuration than it was told"
        )
        self._gauge.set(0)

    def begin_work(self) -> None:
        """The replica has started: Serve asks for its health for the first time once it is configured."""
        self._at_work = True

    async def change(self, wanted: Mapping[str, object] | None) -> None:
        """Bring it in force; raise what is wrong with it, but only while the replica starts."""
        wanted = wanted or {}
        if wanted != self._in_force:
            try:
                await asyncio.wait_for(self._apply(wanted), _PATIENCE_S)
            except Exception:
                if not self._at_work:
                    raise
                log.exception("configuration refused, the one before stays in force", extra={"wanted": dict(wanted)})
                self._show(refused=True)
                return
            self._in_force = dict(wanted)
        self._show(refused=False)

    def _show(self, *, refused: bool) -> None:
        self.refused = refused
        self._gauge.set(int(refused))
