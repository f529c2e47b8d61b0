"""The configuration file: read once, checked whole, every error with its line and what would be right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from scheduler.kindsconfig import read_workloads
from scheduler.model import InvalidField, InvalidInput
from scheduler.placement.policy import BUILT_IN, DEFAULT, PRESETS, Policy, is_pattern, strays
from scheduler.sourcelist import read_sources
from scheduler.workloads.kinds import KINDS, Kind
from scheduler.yamlreader import YamlReader, empty, shown
from topology.combined import SourceEntry
from topology.detect import FAMILIES
from topology.model import FabricSpec, InvalidTopology
from topology.sources.configured import configured

API_VERSION = "lockstep.scheduling/v1alpha1"
KIND = "LockstepConfiguration"


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM, read again when they change. With `client_ca`, kube-scheduler must show a certificate
    from it, whose common name or a DNS name is one of `client_names` when there are any."""

    cert_file: str
    key_file: str
    client_ca: str = ""
    client_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Leadership:
    """A lease, and who we are in it (the host's name when empty).

    `follow`: do not compete for it; lead while it is held by the kube-scheduler of our own pod.
    """

    name: str = "lockstep"
    namespace: str = "lockstep-system"
    identity: str = ""
    follow: bool = False


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """Where the service listens and how long things may take (seconds).

    `http_timeout_s` must be that of the extender's entry in the scheduler's configuration:
    a Binding is held back at most half of it. `lease_s`: how long a reservation outlives the
    last sign of its gang. `stale_s`: silence of a watch after which nothing new is planned.
    `writes_in_flight`: how many pods are given their plan at once, and beside them how many Bindings are
    written. The more, the longer schedulers wait for their answers while many gangs arrive.
    `grpc`: host:port of the gRPC API; empty for none. `metrics`, `api`: host:port of a port of their own
    for /metrics with the probes, and for /v1; empty for the port of kube-scheduler. `tls` is for every
    port. `auth`: whether metrics, API and gRPC ask for a bearer token that the API server knows.
    `broken_start_s`: how long a gang that never was whole may be bound in part with nothing to complete
    it; then its members are evicted. `paranoid`: check the safety properties after every step.
    `leadership`: the lease that replicas compete for; None for one replica alone.
    `tell`: what is written into the cluster for the owners of gangs: none, events, or conditions (of
    pods) beside the events.
    `records`: a folder to write every decision to; `tracing`: the URL of an OTLP collector; empty for none.
    `compiled`: large gangs are decided by loops that numba has compiled: the same answers, sooner, for
    more memory.
    """

    address: str = "127.0.0.1"
    port: int = 8888
    http_timeout_s: int = 20
    lease_s: int = 60
    stale_s: int = 30
    solver_s: int = 10
    writes_in_flight: int = 16
    grpc: str = ""
    metrics: str = ""
    api: str = ""
    auth: Literal["none", "tokens"] = "none"
    tls: Tls | None = None
    broken_start_s: int = 10
    paranoid: bool = False
    leadership: Leadership | None = None
    tell: Literal["none", "events", "conditions"] = "events"
    records: str = ""
    tracing: str = ""
    compiled: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """A valid configuration; `levels` is None when the fabric is to be detected from labels.

    `family` then names the labels that give the switches. `sources`: where the
    fabric is read from, the first first; empty for the labels alone. `config_maps`: whether the service
    reads the ConfigMaps that pods with GPUs take their environment from.
    """

    levels: FabricSpec | None = None
    family: str | None = None
    sources: tuple[SourceEntry, ...] = ()
    service: ServiceConfig = ServiceConfig()
    policies: Mapping[str, Policy] = field(default_factory=lambda: BUILT_IN)
    source: str = "defaults"
    kinds: tuple[Kind, ...] = KINDS
    config_maps: bool = True


def load_config(path: str | None) -> Config:
    """The configuration in a file, or the defaults without one. Raises InvalidInput with every fault."""
    if path is None:
        return Config()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidInput(InvalidField(path, "file", path, f"a readable file ({reason})")) from error
    return parse_config(text, name=path)


def parse_config(text: str, *, name: str) -> Config:
    """The configuration in a text; `name` stands for it in errors."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise InvalidInput(InvalidField(where, "file", "", f"YAML ({problem})")) from error
    reader = _Reader(name)
    config = reader.config(root)
    if reader.faults:
        raise InvalidInput(*reader.faults)
    return config


class _Reader(YamlReader):
    """The sections of the configuration; `level_names`: of the levels that it names, once they are read."""

    level_names: tuple[str, ...] | None = None

    def config(self, root: yaml.Node | None) -> Config:
        known = ("apiVersion", "kind", "topology", "policies", "workloads", "service")
        entries = self.mapping(root, "file", known)
        self.constant(entries, "apiVersion", API_VERSION, root)
        self.constant(entries, "kind", KIND, root)
        levels, family, sources = self.topology(entries.get("topology"))
        service = self.service(entries.get("service"))
        self.level_names = tuple(one.name for one in levels.ordered()) if levels is not None else None
        policies = self.policies(entries.get("policies"))
        kinds, config_maps = read_workloads(self, entries.get("workloads"))
        return Config(levels, family, sources, service, policies, self.name, kinds, config_maps)

    def policies(self, node: yaml.Node | None) -> Mapping[str, Policy]:
        """The built-in policies and those of the file, which may replace them."""
        if empty(node):
            return BUILT_IN
        if not isinstance(node, yaml.MappingNode):
            self.fault(node, "policies", shown(node), "a mapping of policies by name")
            return BUILT_IN
        found = {shown(key): self.policy(shown(key), value) for key, value in node.value}
        return {**BUILT_IN, **found}

    def policy(self, name: str, node: yaml.Node) -> Policy:
        where = f"policies.{name}"
        entries = self.mapping(node, where, ("preset", "first", "drop"))
        preset = shown(entries.get("preset")) or DEFAULT
        if preset not in PRESETS:
            self.fault(entries["preset"], f"{where}.preset", preset, f"one of {', '.join(PRESETS)}")
            preset = DEFAULT
        first, drop = (self.terms(entries.get(key), f"{where}.{key}") for key in ("first", "drop"))
        return Policy(name, preset, first, drop)

    def terms(self, node: yaml.Node | None, where: str) -> tuple[str, ...]:
        if node is None:
            return ()
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for item in items:
            if not isinstance(item, yaml.ScalarNode) or not is_pattern(shown(item)):
                wanted = "a list of terms (domains_rack), patterns (broken_*), sums (3*nodes + 1*left_rack)"
                self.fault(item, where, shown(item), wanted)
            elif self.level_names is not None:
                for term, wanted in strays((shown(item),), self.level_names):
                    self.fault(item, where, term, wanted)
        return tuple(shown(item) for item in items)

    def topology(
        self, node: yaml.Node | None
    ) -> tuple[FabricSpec | None, str | None, tuple[SourceEntry, ...]]:
        known = ("levels", "partitions", "family", "sources")
        entries = self.mapping(node, "topology", known) if node else {}
        family = entries.get("family")
        named = self.one_of(family, "topology.family", FAMILIES) if family is not None else None
        sources = read_sources(self, entries.get("sources"))
        if "levels" not in entries and "partitions" not in entries:
            return None, named, sources
        if family is not None:
            wanted = "topology.levels or topology.family, not both"
            self.fault(family, "topology.family", shown(family), wanted)
        levels = self.levels(entries.get("levels"), "topology.levels")
        partitions = self.levels(entries.get("partitions"), "topology.partitions")
        try:
            return configured(levels, partitions), None, sources
        except InvalidTopology as error:
            self.fault(node, "topology", "", str(error))
            return None, None, sources

    def levels(self, node: yaml.Node | None, where: str) -> tuple[tuple[str, str], ...]:
        if node is None:
            return ()
        if not isinstance(node, yaml.SequenceNode):
            self.fault(node, where, shown(node), "a list of {name, label}, coarse to fine")
            return ()
        found = []
        for at, item in enumerate(node.value):
            entries = self.mapping(item, f"{where}[{at}]", ("name", "label"))
            texts = {key: self.text(entries, key, f"{where}[{at}]", item) for key in ("name", "label")}
            if texts["name"] and texts["label"]:
                found.append((texts["name"], texts["label"]))
        return tuple(found)

    def service(self, node: yaml.Node | None) -> ServiceConfig:
        fields: Mapping[str, tuple[str, Callable[[yaml.Node, str], Any]]] = {
            "address": ("address", self.plain),
            "port": ("port", lambda n, w: self.whole(n, w, low=0, high=65535, unit="a port, 0 to 65535")),
            "httpTimeout": ("http_timeout_s", self.seconds),
            "lease": ("lease_s", self.seconds),
            "staleAfter": ("stale_s", lambda n, w: self.seconds(n, w, low=5)),
            "solverTime": ("solver_s", self.seconds),
            "writesInFlight": (
                "writes_in_flight",
                lambda n, w: self.whole(n, w, low=1, high=512, unit="requests, 1 to 512"),
            ),
            "grpc": ("grpc", self.endpoint),
            "metrics": ("metrics", self.endpoint),
            "api": ("api", self.endpoint),
            "auth": ("auth", lambda n, w: self.one_of(n, w, ("none", "tokens"))),
            "tls": ("tls", self.tls),
            "brokenStart": ("broken_start_s", self.seconds),
            "paranoid": ("paranoid", self.truth),
            "leadership": ("leadership", self.leadership),
            "tell": ("tell", lambda n, w: self.one_of(n, w, ("none", "events", "conditions"))),
            "records": ("records", self.plain),
            "tracing": ("tracing", self.plain),
            "compiled": ("compiled", self.truth),
        }
        if node is None:
            return ServiceConfig()
        entries = self.mapping(node, "service", tuple(fields))
        values = {fields[key][0]: fields[key][1](value, f"service.{key}") for key, value in entries.items()}
        return ServiceConfig(**{key: value for key, value in values.items() if value is not None})

    def tls(self, node: yaml.Node, where: str) -> Tls | None:
        entries = self.mapping(node, where, ("certFile", "keyFile", "clientCAFile", "clientNames"))
        texts = {key: self.text(entries, key, where, node) for key in ("certFile", "keyFile")}
        client_ca = (
            self.plain(entries["clientCAFile"], f"{where}.clientCAFile") or ""
            if ("clientCAFile" in entries)
            else ""
        )
        names = self.texts(entries.get("clientNames"), f"{where}.clientNames")
        if names and not client_ca:
            wanted = "a file of the certificates that clients are checked against, beside clientNames"
            self.fault(node, f"{where}.clientCAFile", "", wanted)
        return Tls(texts["certFile"], texts["keyFile"], client_ca, names)

    def leadership(self, node: yaml.Node, where: str) -> Leadership:
        known = ("name", "namespace", "identity", "follow")
        entries = self.mapping(node, where, known)
        texts = {key: self.plain(entries[key], f"{where}.{key}") for key in known[:3] if key in entries}
        follow = self.truth(entries["follow"], f"{where}.follow") if "follow" in entries else False
        return Leadership(**{key: text for key, text in texts.items() if text}, follow=bool(follow))
