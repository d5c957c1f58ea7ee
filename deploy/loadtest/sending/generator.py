"""The process that sends: `python -m deploy.loadtest.sending.generator SOCKET SPEC`, started by `feeds.Generator`."""

import json
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from consumers.settings import ConsumerSettings
from consumers.shell.access import AccessRefused, require_access
from deploy.errors import DeployError
from deploy.loadtest.measuring.observations import Observation
from deploy.loadtest.options import DriverKind
from deploy.loadtest.sending.child import calm, connect, listen, raise_file_limit
from deploy.loadtest.sending.http_driver import HttpDriver
from deploy.loadtest.sending.inprocess_driver import InProcessDriver
from deploy.loadtest.sending.interface import Driver
from deploy.loadtest.sending.kafka_driver import KafkaDriver
from deploy.loadtest.sending.look_ahead import LookAhead
from deploy.loadtest.sending.pacer import pace
from deploy.loadtest.sending.wire import Go, Outbox
from deploy.loadtest.workload.schedule_file import open_schedule

_FILL_S = 30.0


class Generator:
    """Paces events to a driver from its main thread."""

    def __init__(self, look_ahead: LookAhead) -> None:
        self._look_ahead = look_ahead
        self._go = threading.Event()
        self._stop = threading.Event()
        self._start_ns = 0
        self._paced = False
        self.driver: Driver | None = None

    def obey(self, order: Any) -> None:
        """Take an order of the parent."""
        if isinstance(order, Go):
            self._start_ns = order.at_ns
        else:
            self._stop.set()
        self._go.set()

    def finished(self) -> bool:
        """Whether all events are out, or given up."""
        return self._paced and self.driver is not None and self.driver.pending == 0

    def run(self, driver: Driver, ready: Callable[[], None]) -> None:
        """Warm up, wait for the word, send, and stay for the answers until told to stop."""
        self.driver = driver
        self._look_ahead.start()
        driver.warm()
        try:
            self._look_ahead.filled(_FILL_S)
            calm()
            ready()
            self._go.wait()
            self._paced = pace(self._look_ahead, self._start_ns, driver.send, stopped=self._stop.is_set)
            self._stop.wait()
        finally:
            self._look_ahead.close()
            driver.close()


def main(address: str, spec: str) -> None:
    """Do what the parent says."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    told = json.loads(spec)
    connection = connect(address)
    generator = Generator(
        LookAhead(open_schedule(Path(told["schedule"]), shard=told["shard"], shards=told["shards"])[1])
    )
    outbox = Outbox(connection, generator.finished)
    listen(connection, generator.obey)
    outbox.start()
    driver = driver_of(DriverKind(told["driver"]), outbox.put, Path(told["folder"]))

    def ready() -> None:
        outbox.system = getattr(driver, "system", ())
        outbox.ready = True

    try:
        if told["driver"] == DriverKind.KAFKA:
            require_access(ConsumerSettings())
        generator.run(driver, ready)
    except (DeployError, AccessRefused) as error:
        sys.exit(str(error))
    finally:
        outbox.close()


def driver_of(kind: DriverKind, report: Callable[[Observation], None], folder: Path) -> Driver:
    """The driver, not connected yet; settings are those of the environment."""
    if kind is DriverKind.KAFKA:
        return KafkaDriver(ConsumerSettings(), report)
    if kind is DriverKind.HTTP:
        raise_file_limit()
        return HttpDriver(ConsumerSettings(), report)
    return InProcessDriver(report, folder / "studio.log")


if __name__ == "__main__":
    main(*sys.argv[1:])
