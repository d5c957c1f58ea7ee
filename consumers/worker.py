"""A worker: engine, poll thread, Serve client, producer and transactions, wired together."""

import logging
from random import Random

from consumers.core.engine import Engine
from consumers.core.signals import Drain
from consumers.settings import ConsumerSettings
from consumers.shell import logs
from consumers.shell.client import ServeClient
from consumers.shell.inbox import Inbox
from consumers.shell.metrics import Metrics
from consumers.shell.notices import News
from consumers.shell.poll import Poller
from consumers.shell.producer import ResultProducer
from consumers.shell.transactions import Transactions
from consumers.shell.watchdog import Watchdog

log = logging.getLogger(__name__)

_JOIN_S = 5.0


class Worker:
    """Consumes until it is stopped. `run` belongs to one thread; `stop` may be called from any, also from a handler."""

    def __init__(self, settings: ConsumerSettings, *, seed: int | None = None) -> None:
        self._settings = settings
        self._inbox = Inbox()
        self._stops = 0
        self.metrics = Metrics(window=settings.window, retry_topics=settings.retry_topics)
        self._client = ServeClient(settings, self._inbox)
        self._producer = ResultProducer(settings, self._inbox)
        self._transactions = (
            Transactions(settings, self._inbox, tell=self._tell) if settings.delivery == "transactional" else None
        )
        self._engine = Engine(settings.limits(), settings.policy(), Random(seed))  # noqa: S311 - jitter, no secret
        self._watchdog = Watchdog(self._poller, self._inbox, stall_s=settings.stall_s, tell=self._tell)

    def run(self) -> None:
        """Work until `stop`; raise `KafkaError` where the brokers cannot be used."""
        if self._settings.metrics_port is not None:
            port = self.metrics.serve(self._settings.metrics_port)
            log.info("metrics at port %d", port, extra={"action": "metrics", "port": port})
        parts = [part for part in (self._client, self._producer, self._transactions) if part is not None]
        for part in parts:
            part.start()
        log.info("worker runs", extra={"action": "started", "group": self._settings.group})
        try:
            self._watchdog.run()
        finally:
            for part in reversed(parts):
                part.stop(_JOIN_S)
            log.info("worker has stopped", extra={"action": "stopped"})

    def stop(self) -> None:
        """Finish what is in flight, commit, and end; asked twice, do not wait for what is in flight."""
        self._stops += 1
        self._watchdog.stop()
        self._inbox.put(Drain(self._settings.drain_s if self._stops == 1 else 0.0))

    def _poller(self) -> Poller:
        return Poller(
            self._settings,
            self._engine,
            self._inbox,
            client=self._client,
            producer=self._producer,
            transactions=self._transactions,
            watchers=(self.metrics.saw, logs.saw),
            show=self.metrics.show,
        )

    def _tell(self, news: News) -> None:
        self.metrics.saw(news)
        logs.saw(news)
