"""Text on its way to a terminal, a log, an Event: nothing from the cluster in it may steer the reader."""

from __future__ import annotations

import logging


def clean(text: str) -> str:
    """The text with everything that is not printable as a question mark: control and escape characters,
    line breaks, marks that turn the direction of writing."""
    return "".join(c if c.isprintable() or c == " " else "?" for c in text)


def escaped(text: str) -> str:
    """The text with what is not printable as escapes (\\n, \\x1b, \\u202e): one line, and nothing is lost."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def unsteering(document: str) -> str:
    """A JSON document with what is not printable in its strings as JSON's own escapes: equal when read."""
    return "".join(c if c.isprintable() or c == "\n" else _as_json(c) for c in document)


def _as_json(character: str) -> str:
    units = character.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


class OneLine(logging.Formatter):
    """Records of a log in which no text from elsewhere can make a line of its own, or steer a terminal.

    A traceback follows its record, each line of it marked and escaped.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        head, *more = super().format(record).split("\n")
        if not record.exc_info and not record.stack_info:
            return escaped("\n".join((head, *more)))
        return "\n".join([escaped(head), *(f"  | {escaped(line)}" for line in more)])


def capped(text: str, most: int) -> str:
    """The text, cut at so many bytes of UTF-8 with a mark that it was."""
    data = text.encode("utf-8", errors="replace")
    if len(data) <= most:
        return data.decode("utf-8")
    return data[: most - 3].decode("utf-8", errors="ignore") + "\N{HORIZONTAL ELLIPSIS}"


def counted(number: int, what: str) -> str:
    """`1 pod`, `2 pods`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
