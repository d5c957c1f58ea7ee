"""A YAML loader that refuses a key given twice, where the usual one silently keeps the last, and too many aliases."""

from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

#: Values of a document with every alias written out: nine lines of aliases can stand for a milliard.
MAX_VALUES = 50_000


class UniqueKeys(yaml.SafeLoader):
    """Plain values only, as `yaml.safe_load` gives them."""

    def get_single_node(self) -> Node | None:
        """The document; `ConstructorError` if it holds itself, or is too large once its aliases are written out."""
        node: Node | None = super().get_single_node()
        if node is not None:
            _values(node, {})
        return node

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping; `ConstructorError` with the line of a key that stands there for the second time."""
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                continue
            name = (key.tag, key.value)
            if name in seen:
                raise ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def _values(node: Node, known: dict[int, int]) -> int:
    """How many values the node stands for; `known` has those that were counted, and 0 for those just being counted."""
    if (count := known.get(id(node))) is not None:
        if count == 0:
            raise ConstructorError(None, None, "a value holds itself", node.start_mark)
        return count
    known[id(node)] = 0
    total = 1 + sum(_values(child, known) for child in _children(node))
    if total > MAX_VALUES:
        raise ConstructorError(None, None, f"stands for more than {MAX_VALUES:,} values", node.start_mark)
    known[id(node)] = total
    return total


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []
