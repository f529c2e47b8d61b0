"""The node name map of InfiniBand tools: names for GUIDs, for adapters whose description says nothing.

Lines are a GUID and a name in quotes, such as `0x0008f10400411f56 "n07 mlx5_0"`;
`#` begins a comment (ibnetdiscover(8), "node name map file format").
"""

from __future__ import annotations

import re

from topology.reading import invalid

_LINE = re.compile(r"(?:0x)?([0-9a-fA-F]{1,16})\s+\"([^\"]*)\"\s*(?:#.*)?")


def read_name_map(text: str, *, name: str) -> dict[str, str]:
    """Names by GUID, 16 hexadecimal digits in lower case; raises InvalidSource for any other line."""
    names: dict[str, str] = {}
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        found = _LINE.fullmatch(stripped)
        if found is None or not found[2].strip():
            raise invalid(
                f"{name}:{number}", "line", stripped, 'a GUID and a name, such as 0x0008f10400411f56 "n07"'
            )
        guid = found[1].lower().rjust(16, "0")
        if names.setdefault(guid, found[2].strip()) != found[2].strip():
            raise invalid(f"{name}:{number}", "GUID", guid, f"one name; it is {names[guid]!r} above")
    return names
