"""A YAML text read node by node, so that every fault has its line and says what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from scheduler.model import InvalidField

_ENDPOINT = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")


@dataclass(slots=True)
class YamlReader:
    """Walks the YAML nodes, which know their lines; what is wrong is collected in `faults`."""

    name: str
    faults: list[InvalidField] = field(default_factory=list)

    def mapping(self, node: yaml.Node | None, where: str, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        """The entries of a mapping; unknown and repeated keys are faults with their line."""
        if not isinstance(node, yaml.MappingNode):
            if not empty(node) or where == "file":
                self.fault(node, where, shown(node), f"a mapping with the keys {', '.join(known)}")
            return {}
        found: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = shown(key_node)
            if key in found:
                self.fault(key_node, f"{where}.{key}", key, "only once")
            elif key not in known:
                nearest = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {nearest[0]!r}? " if nearest else ""
                field_name = key if where == "file" else f"{where}.{key}"
                self.fault(key_node, field_name, key, f"{hint}known keys here are {', '.join(known)}")
            else:
                found[key] = value
        return found

    def constant(
        self, entries: Mapping[str, yaml.Node], key: str, wanted: str, root: yaml.Node | None
    ) -> None:
        value = shown(entries.get(key))
        if value != wanted:
            self.fault(entries.get(key, root), key, value, wanted)

    def text(self, entries: Mapping[str, yaml.Node], key: str, where: str, item: yaml.Node) -> str:
        value = shown(entries.get(key))
        if not value or not isinstance(entries.get(key), yaml.ScalarNode):
            self.fault(entries.get(key, item), f"{where}.{key}", value, "text, not empty")
        return value

    def plain(self, node: yaml.Node, where: str) -> str | None:
        value = shown(node)
        if not isinstance(node, yaml.ScalarNode) or not value:
            self.fault(node, where, value, "text, not empty")
            return None
        return value

    def endpoint(self, node: yaml.Node, where: str) -> str | None:
        value = shown(node)
        port = _ENDPOINT.fullmatch(value)
        if port is None or int(port[1]) > 65535:
            self.fault(node, where, value, "host:port, such as 127.0.0.1:9443 or [::1]:9443")
            return None
        return value

    def one_of(self, node: yaml.Node, where: str, allowed: tuple[str, ...]) -> str | None:
        value = shown(node)
        if value not in allowed:
            self.fault(node, where, value, f"one of {', '.join(allowed)}")
            return None
        return value

    def texts(self, node: yaml.Node | None, where: str) -> tuple[str, ...]:
        """A list of texts; a single text counts as a list of one."""
        if node is None:
            return ()
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        return tuple(value for item in items if (value := self.plain(item, where)) is not None)

    def truth(self, node: yaml.Node, where: str) -> bool | None:
        value = shown(node)
        if value not in ("true", "false"):
            self.fault(node, where, value, "true or false")
            return None
        return value == "true"

    def seconds(self, node: yaml.Node, where: str, *, low: int = 1) -> int | None:
        wanted = "whole seconds with their unit, such as 20s" + (f", from {low}s" if low > 1 else "")
        value = shown(node)
        if not value.endswith("s") or not value[:-1].isdecimal() or not low <= int(value[:-1]) <= 3600:
            self.fault(node, where, value, wanted)
            return None
        return int(value[:-1])

    def whole(self, node: yaml.Node, where: str, *, low: int, high: int, unit: str) -> int | None:
        value = shown(node)
        if not value.isdecimal() or not low <= int(value) <= high:
            self.fault(node, where, value, unit)
            return None
        return int(value)

    def fault(self, node: yaml.Node | None, field_name: str, value: str, wanted: str) -> None:
        line = node.start_mark.line + 1 if node is not None else 1
        self.faults.append(InvalidField(f"{self.name}:{line}", field_name, value, wanted))


def empty(node: yaml.Node | None) -> bool:
    """Whether nothing stands there."""
    if node is None:
        return True
    null = isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"
    return null or (isinstance(node, yaml.MappingNode) and not node.value)


def shown(node: yaml.Node | None) -> str:
    """The text of a scalar; empty for everything else."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""
