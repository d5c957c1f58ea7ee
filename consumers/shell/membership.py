"""Who this client is to the group: two things that the client does not tell by itself."""

from kafka import KafkaConsumer
from kafka.structs import MemberState

from consumers.shell import kafka_internals


class Membership:
    """Looks at the member id and state of one client."""

    def __init__(self, consumer: KafkaConsumer, *, static: bool) -> None:
        self._consumer = consumer
        self._member = ""
        self._to_join_again = static

    def look(self) -> None:
        """Join a second time where membership is static.

        A static member that comes back gets what it had, without a rebalance. If its predecessor died after it had
        given partitions up and before it said so, these belong to nobody until somebody joins.
        """
        if self._to_join_again and self._consumer.group_metadata().state == MemberState.STABLE:
            self._to_join_again = False
            kafka_internals.rejoin(self._consumer)

    def renewed(self) -> bool:
        """Whether the group forgot this member and took it in as a new one, with partitions that it had before.

        Where the client hears of it only while it joins, it keeps its partitions without a word. But others may have
        had them meanwhile.
        """
        member = self._consumer.group_metadata().member_id
        if not member or member == self._member:
            return False
        before, self._member = self._member, member
        return bool(before)
