"""Cooperative sticky assignment: balanced, close to what is owned, and nothing moves before its owner gave it up."""

from collections.abc import Mapping, Sequence

from kafka import TopicPartition


def assign(
    topics: Mapping[str, Sequence[str]],
    owned: Mapping[str, frozenset[TopicPartition]],
    partitions: Mapping[str, int],
) -> dict[str, set[TopicPartition]]:
    """Partitions per member, of `topics` per member. What moves belongs to nobody in this round."""
    every = sorted(
        TopicPartition(topic, number)
        for topic in {name for names in topics.values() for name in names}
        for number in range(partitions.get(topic, 0))
    )
    owner = {tp: member for member in sorted(owned) for tp in owned[member] if tp.topic in topics[member]}
    final: dict[str, set[TopicPartition]] = {member: set() for member in topics}
    for tp in every:
        member = owner.get(tp)
        if member is not None:
            final[member].add(tp)
    for tp in every:
        if tp not in owner:
            final[_least(final, topics, tp)].add(tp)
    _balance(final, topics)
    return {member: {tp for tp in tps if owner.get(tp, member) == member} for member, tps in final.items()}


def _least(final: dict[str, set[TopicPartition]], topics: Mapping[str, Sequence[str]], tp: TopicPartition) -> str:
    able = [member for member in final if tp.topic in topics[member]]
    return min(able, key=lambda member: (len(final[member]), member))


def _balance(final: dict[str, set[TopicPartition]], topics: Mapping[str, Sequence[str]]) -> None:
    moved = True
    while moved:
        moved = False
        for giver in sorted(final, key=lambda member: (-len(final[member]), member)):
            for tp in sorted(final[giver], reverse=True):
                taker = _least(final, topics, tp)
                if len(final[giver]) > len(final[taker]) + 1:
                    final[giver].remove(tp)
                    final[taker].add(tp)
                    moved = True
