"""Files of manifests: JSON and YAML, one document or many, from files, folders and standard input."""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import yaml

from scheduler.model import InvalidField, InvalidInput
from scheduler.workloads.natural import natural

_NO_SPACE = re.compile(r"\S")
_SUFFIXES = (".yaml", ".yml", ".json")
_SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


MOST_DEPTH = 100
"""Levels of nesting that are read; the C loader recurses, and ends the process where its stack ends."""

MOST_COPIES = 1_000_000
"""Values that the aliases of a text may stand for; a few lines of aliases of aliases mean billions."""


MOST_UNPACKED = 2 << 30
"""Bytes that a packed file may unpack to; a few kilobytes of gzip can mean terabytes."""

GZIP = b"\x1f\x8b"
"""How a gzip file begins (RFC 1952)."""


class _Loader(_SafeLoader):  # type: ignore[misc, valid-type]  # the fast one where it is built in
    """YAML as kubectl reads it: a time stamp without quotes is text."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """At once and whole, so that an alias inside its own anchor is an error that names its line."""
        return super().construct_object(node, deep=True)


def texts(path: str) -> Iterator[tuple[str, bytes]]:
    """(name, content) of a file, of a folder's manifests, or of standard input, unpacked where it is
    gzip; raises InvalidInput."""
    if path == "-":
        yield "standard input", _unpacked("standard input", sys.stdin.buffer.read())
        return
    try:
        if Path(path).is_dir():
            files = [file for file in Path(path).iterdir() if file.suffix in _SUFFIXES]
            if not files:
                wanted = f"a folder with {', '.join(_SUFFIXES)} files"
                raise InvalidInput(InvalidField(path, "folder", path, wanted))
            for file in sorted(files, key=lambda file: natural(file.name)):
                yield str(file), _unpacked(str(file), file.read_bytes())
        else:
            yield path, _unpacked(path, Path(path).read_bytes())
    except OSError as error:
        wanted = f"a file that can be read ({error.strerror})"
        raise InvalidInput(InvalidField(path, "file", path, wanted)) from error


def _unpacked(name: str, data: bytes) -> bytes:
    """The content of a gzip file, and any other as it is. Raises InvalidInput for one that breaks off,
    and for one that would fill the memory."""
    if not data.startswith(GZIP):
        return data
    wanted = f"a complete gzip file of at most {MOST_UNPACKED >> 20} MiB unpacked"
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            content = packed.read(MOST_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(InvalidField(name, "file", str(error), wanted)) from error
    if len(content) > MOST_UNPACKED:
        raise InvalidInput(InvalidField(name, "file", f"more than {MOST_UNPACKED >> 20} MiB", wanted))
    return content


def parse(name: str, data: bytes) -> list[Any]:
    """JSON where it is JSON, which is fast; else YAML, several documents. Raises InvalidInput."""
    if data.lstrip()[:1] in (b"{", b"["):
        try:
            return _several(msgspec.json.decode(data))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            stream = _json_stream(data)
            if stream is not None:
                return stream
            if name.endswith(".json"):
                raise InvalidInput(_bad_json(name, data, error)) from error
    try:
        _check_yaml(name, data)
        return [one for document in yaml.load_all(data, Loader=_Loader) for one in _several(document)]
    except InvalidInput:
        raise
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:
        # PyYAML's own constructors raise ValueError and AttributeError for what a tag says and is not.
        raise InvalidInput(_bad_yaml(name, data, error)) from error


def _check_yaml(name: str, data: bytes) -> None:
    """Raises InvalidInput for YAML that is nested too deep, or small and means something huge."""
    deepest = data.count(b"[") + data.count(b"{") + 2 * max(map(len, data.splitlines()), default=0)
    if deepest < MOST_DEPTH and b"*" not in data:
        return
    sizes: dict[str | None, int] = {}  # by anchor: the values that it stands for
    begun: list[tuple[str | None, int]] = []  # anchor, and the values before it
    copies = 0
    for values, event in enumerate(yaml.parse(data, Loader=_SafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            copies += sizes.get(event.anchor, 0)
        elif isinstance(event, yaml.CollectionStartEvent):
            begun.append((event.anchor, values + copies))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = begun.pop()
            sizes[anchor] = values + copies - before
        if len(begun) > MOST_DEPTH or copies > MOST_COPIES:
            line = event.start_mark.line if event.start_mark else 0
            wanted = f"nesting of at most {MOST_DEPTH} levels"
            if copies > MOST_COPIES:
                wanted = f"aliases that stand for at most {MOST_COPIES:,} values"
            raise InvalidInput(InvalidField(f"{name}:{line + 1}", "file", _line(data, line), wanted))


def _several(document: Any) -> list[Any]:
    return document if isinstance(document, list) else [document]


def _json_stream(data: bytes) -> list[Any] | None:
    """Several JSON documents one after another, as `kubectl get` twice into one file gives; else None."""
    found: list[Any] = []
    try:
        text, at = data.decode().strip(), 0
        while at < len(text):
            one, end = json.JSONDecoder().raw_decode(text, at)
            found += _several(one)
            at = next(_NO_SPACE.finditer(text, end)).start() if end < len(text) else end
    except (ValueError, RecursionError):
        return None
    return found


def _bad_json(name: str, data: bytes, error: Exception) -> InvalidField:
    at = re.search(r"\(byte (\d+)\)", str(error))
    line = data[: int(at[1])].count(b"\n") if at else data.count(b"\n")
    return InvalidField(f"{name}:{line + 1}", "file", _line(data, line), f"JSON ({error})")


def _bad_yaml(name: str, data: bytes, error: Exception) -> InvalidField:
    mark = getattr(error, "problem_mark", None)
    line = min(mark.line, data.count(b"\n")) if mark else 0
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
    where = f"{name}:{line + 1}" if mark else name
    return InvalidField(where, "file", _line(data, line), f"YAML or JSON ({problem})")


def _line(data: bytes, line: int) -> str:
    lines = data.split(b"\n")
    return lines[min(line, len(lines) - 1)][:60].decode(errors="replace").strip()
