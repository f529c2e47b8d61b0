"""`lockstep config explain`: every setting, what is in force, and what it means."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from scheduler.cli.exits import YES
from scheduler.cli.output import Format, columns, emit
from scheduler.config import Config, load_config


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting's path in the file, the attribute of ServiceConfig that it sets ("" for another
    section), and its meaning with its unit."""

    path: str
    attribute: str
    meaning: str


SETTINGS = (
    Setting("topology.levels", "", "levels, coarse to fine, as {name, label}; detected when absent"),
    Setting("topology.partitions", "", "levels that do not nest in the others, as {name, label}"),
    Setting("topology.family", "", "whose labels give the switches, where several are present"),
    Setting("topology.sources", "", "files, objects of other schedulers and labels; the first counts"),
    Setting("policies", "", "objectives by name: preset, terms that come first, terms to drop"),
    Setting("workloads", "", "families and own kinds to read (docs/workload-kinds.md); configMaps: true"),
    Setting("service.address", "address", "where kube-scheduler is listened for"),
    Setting("service.port", "port", "port there, 0 to 65535"),
    Setting("service.httpTimeout", "http_timeout_s", "seconds; as in the scheduler's configuration"),
    Setting("service.lease", "lease_s", "seconds that a reservation outlives the last sign of its gang"),
    Setting("service.staleAfter", "stale_s", "age of the view after which nothing new is planned; 5 or more"),
    Setting("service.solverTime", "solver_s", "deterministic solver seconds, the most for one decision"),
    Setting("service.writesInFlight", "writes_in_flight", "plans, and Bindings, written at once, 1 to 512"),
    Setting("service.grpc", "grpc", "host:port of the gRPC API; none when empty"),
    Setting("service.metrics", "metrics", "host:port of metrics and probes; kube-scheduler's when empty"),
    Setting("service.api", "api", "host:port of /v1; kube-scheduler's when empty"),
    Setting("service.auth", "auth", "none, or tokens: who asks for metrics, API and gRPC shows one"),
    Setting("service.tls", "tls", "certFile, keyFile, clientCAFile, clientNames; renewed when changed"),
    Setting("service.brokenStart", "broken_start_s", "seconds until a start that cannot end is released"),
    Setting("service.paranoid", "paranoid", "true: the safety properties are checked after every step"),
    Setting("service.leadership", "leadership", "of replicas' lease: name, namespace, identity, follow"),
    Setting("service.tell", "tell", "none, events (per gang), or conditions (of pods) beside the events"),
    Setting("service.records", "records", "a folder that every decision is written to; none when empty"),
    Setting("service.tracing", "tracing", "URL of an OTLP collector; none when empty"),
    Setting("service.compiled", "compiled", "true: large gangs by loops that numba compiles (extra `fast`)"),
)  # fmt: skip


def explain(file: str | None, output: Format) -> int:
    """Every setting with the value in force, of a file or the defaults. Raises InvalidInput."""
    config = load_config(file)
    rows = [
        {
            "setting": one.path,
            "value": _value(config, one),
            "default": _value(Config(), one),
            "meaning": one.meaning,
        }
        for one in SETTINGS
    ]
    document = {"schema": "lockstep.config-explain/v1", "source": config.source, "settings": rows}
    emit(
        document,
        output,
        table=lambda _: columns(
            ["SETTING", "VALUE", "MEANING"], [[row["setting"], row["value"], row["meaning"]] for row in rows]
        ),
        names=lambda: [one.path for one in SETTINGS],
    )
    return YES


def _value(config: Config, one: Setting) -> str:
    if one.attribute:
        return _shown(getattr(config.service, one.attribute))
    match one.path:
        case "topology.levels" | "topology.partitions":
            if config.levels is None:
                return "detected" if one.path == "topology.levels" else "-"
            levels = config.levels.ordered() if one.path == "topology.levels" else config.levels.partitions
            return ", ".join(level.name for level in levels) or "-"
        case "topology.family":
            return config.family or "-"
        case "topology.sources":
            return ", ".join(entry.name or entry.kind for entry in config.sources) or "labels"
        case "policies":
            return ", ".join(sorted(config.policies))
        case _:
            return f"{len(config.kinds)} kinds"


def _shown(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if hasattr(value, "__dataclass_fields__"):
        return ", ".join(f"{key} {one}" for key, one in asdict(value).items() if one not in ("", (), False))  # type: ignore[call-overload]
    return str(value)


def table() -> str:
    """The settings as a table of a document."""
    lines = [f"| `{one.path}` | {_value(Config(), one)} | {one.meaning} |" for one in SETTINGS]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *lines, ""])
