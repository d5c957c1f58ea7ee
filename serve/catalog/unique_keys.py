"""A YAML loader that refuses a key given twice, where the usual one silently keeps the last."""

from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, ScalarNode


class UniqueKeys(yaml.SafeLoader):
    """Plain values only, as `yaml.safe_load` gives them."""

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
