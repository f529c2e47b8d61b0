"""Why a call has no answer: exceptions into gRPC status codes, with faults that programs can read."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import quote

import grpc
from google.protobuf.message import DecodeError

from scheduler.model import InvalidField, InvalidInput
from scheduler.rpc.lockstep.v1 import lockstep_pb2 as pb

log = logging.getLogger(__name__)

FAULTS_KEY = "lockstep-faults-bin"
"""Trailing metadata of INVALID_ARGUMENT: a serialized Faults."""

_LONGEST = 2500
"""Bytes of a message, and of the faults beside it, as sent: clients refuse metadata above 8 KiB."""

_LONGEST_VALUE = 200

Method = Callable[[Any, Any, Any], Awaitable[Any]]


class Refused(Exception):
    """A call that gets a status in place of an answer."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands in place of a request that is no message."""

    error: str


def readable(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """A deserializer whose failure is a value, so that it is told as a wrong argument."""

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError as error:
            return Unreadable(str(error))

    return read


def refusing(method: Method) -> Method:
    """A method of the service whose exceptions become status codes; nothing it raises ends the server."""

    @wraps(method)
    async def call(api: Any, request: Any, context: grpc.aio.ServicerContext) -> Any:
        metadata: tuple[tuple[str, bytes], ...] = ()
        try:
            if isinstance(request, Unreadable):
                raise InvalidInput(InvalidField("request", "message", "", f"protobuf ({request.error})"))
            return await method(api, request, context)
        except InvalidInput as error:
            code, message = grpc.StatusCode.INVALID_ARGUMENT, _message(error.faults)
            metadata = ((FAULTS_KEY, _faults(error.faults).SerializeToString()),)
        except Refused as error:
            code, message = error.code, _cut(error.message, _LONGEST)
        except Exception as error:
            if context.cancelled() or context.done():
                return None  # the caller is gone, and what failed is telling it
            log.exception("%s: not answered, by a bug of ours", method.__name__)
            told = f"an error of ours, please report it: {type(error).__name__}: {error}"
            code, message = grpc.StatusCode.INTERNAL, _cut(told, _LONGEST)
        return await context.abort(code, message, metadata)

    return call


def _message(faults: Sequence[InvalidField]) -> str:
    """Every fault with its field, its value and what would be right, as far as there is room."""
    told: list[str] = []
    room = _LONGEST
    for at, fault in enumerate(_short(faults)):
        one = _cut(str(fault), _LONGEST // 2)
        room -= _sent(one) + 2
        if room < 0:
            return "; ".join([*told, f"and {len(faults) - at} more"])
        told.append(one)
    return "; ".join(told)


def _faults(faults: Sequence[InvalidField]) -> pb.Faults:
    found = pb.Faults()
    for fault in _short(faults):
        one = pb.Fault(object=fault.object, field=fault.field, value=fault.value, wanted=fault.wanted)
        if found.ByteSize() + one.ByteSize() > _LONGEST:
            break
        found.faults.append(one)
    return found


def _short(faults: Sequence[InvalidField]) -> Iterator[InvalidField]:
    for fault in faults:
        texts = (fault.object, fault.field, fault.value, fault.wanted)
        yield InvalidField(*(_cut(text, 3 * _LONGEST_VALUE)[:_LONGEST_VALUE] for text in texts))


def _cut(text: str, longest: int) -> str:
    """Text that can be sent, in at most so many bytes of a header."""
    text = text[:longest].encode("utf-8", "replace").decode()
    while _sent(text) > longest:
        text = text[: len(text) * 3 // 4]
    return text


def _sent(text: str) -> int:
    """Bytes of a text in a header, where everything but plain ASCII is written as %XX."""
    return len(quote(text, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"))
