"""OpenTelemetry spans, where the extra `tracing` is installed and the configuration names a collector."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from scheduler.model import InvalidField, InvalidInput
from scheduler.version import version

Value = str | int | float | bool


class Tracer(Protocol):
    """Opens spans that nest by time and task."""

    def span(
        self, name: str, *, ago_s: float = 0.0, **attributes: Value
    ) -> contextlib.AbstractContextManager[Span]:
        """A span while the block runs; with `ago_s` it began so many seconds ago."""


class Span(Protocol):
    """What may be told while a span is open."""

    def tell(self, attributes: Mapping[str, Value]) -> None: ...


class _Silent:
    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was opened."""

    def tell(self, attributes: Mapping[str, Value]) -> None:
        """Nobody listens."""


_SILENT = _Silent()


class NoTracer:
    """Makes nothing: for a service without a collector. A span costs a call, and no object."""

    def span(self, name: str, *, ago_s: float = 0.0, **attributes: Value) -> _Silent:
        return _SILENT


class OpenTelemetry:
    """Spans of an OpenTelemetry tracer."""

    def __init__(self, tracer: Any, *, close: Any = None) -> None:
        self._tracer, self._close = tracer, close

    @contextlib.contextmanager
    def span(self, name: str, *, ago_s: float = 0.0, **attributes: Value) -> Iterator[Span]:
        began_ns = time.time_ns() - round(ago_s * 1e9)
        with self._tracer.start_as_current_span(name, start_time=began_ns, attributes=attributes) as open_one:
            yield _Told(open_one)

    def close(self) -> None:
        """Send what is left."""
        if self._close is not None:
            self._close()


class _Told:
    def __init__(self, span: Any) -> None:
        self._span = span

    def tell(self, attributes: Mapping[str, Value]) -> None:
        self._span.set_attributes(dict(attributes))


def tracer_to(endpoint: str) -> OpenTelemetry:
    """A tracer that sends to an OTLP collector over HTTP (its URL, as http://collector:4318/v1/traces).

    Raises InvalidInput without the extra.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        wanted = f"nothing, or an installation with the extra: pip install 'lockstep[tracing]' ({error})"
        raise InvalidInput(InvalidField("configuration", "service.tracing", endpoint, wanted)) from error
    resource = Resource.create({"service.name": "lockstep", "service.version": version()})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)  # `close` does
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=5)))
    return OpenTelemetry(provider.get_tracer("lockstep"), close=provider.shutdown)
