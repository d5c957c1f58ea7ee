"""`python -m consumers`: run a worker until SIGTERM or Ctrl-C."""

import logging
import signal
import sys

from kafka.errors import KafkaError

from consumers.settings import ConsumerSettings
from consumers.shell.access import AccessRefused, require_access
from consumers.shell.logs import configure
from consumers.worker import Worker
from serve.schemas.redaction import secrets_of


def main() -> int:
    """Run; 0 after a clean stop, 1 where Kafka cannot be used or does not let us in."""
    settings = ConsumerSettings()
    configure(settings.log_level, secrets_of(settings))
    worker = Worker(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    try:
        require_access(settings)
        worker.run()
    except AccessRefused as error:
        logging.getLogger(__name__).critical("%s", error, extra={"action": "access_refused"})
        return 1
    except KafkaError as error:
        logging.getLogger(__name__).critical("Kafka cannot be used: %r", error, extra={"action": "failed"})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
