from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_PLACED: _ClassVar[Verdict]
    VERDICT_BLOCKED: _ClassVar[Verdict]
    VERDICT_IMPOSSIBLE: _ClassVar[Verdict]
    VERDICT_INVALID: _ClassVar[Verdict]

class Proof(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROOF_UNSPECIFIED: _ClassVar[Proof]
    PROOF_OPTIMAL: _ClassVar[Proof]
    PROOF_GAP: _ClassVar[Proof]
    PROOF_TIMED_OUT: _ClassVar[Proof]
    PROOF_PROVEN: _ClassVar[Proof]

class ReasonCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_CODE_UNSPECIFIED: _ClassVar[ReasonCode]
    REASON_CODE_INVALID_GANG: _ClassVar[ReasonCode]
    REASON_CODE_NO_DOMAIN_LARGE_ENOUGH: _ClassVar[ReasonCode]
    REASON_CODE_NO_NODE_MATCHES: _ClassVar[ReasonCode]
    REASON_CODE_CLUSTER_TOO_SMALL: _ClassVar[ReasonCode]
    REASON_CODE_NO_DOMAIN_FITS: _ClassVar[ReasonCode]
    REASON_CODE_FRAGMENTED: _ClassVar[ReasonCode]
    REASON_CODE_NOT_ENOUGH_CAPACITY: _ClassVar[ReasonCode]
    REASON_CODE_TIMED_OUT: _ClassVar[ReasonCode]
    REASON_CODE_INTERNAL_ERROR: _ClassVar[ReasonCode]
    REASON_CODE_WAITING_FOR_MEMBERS: _ClassVar[ReasonCode]

class BlockingKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BLOCKING_KIND_UNSPECIFIED: _ClassVar[BlockingKind]
    BLOCKING_KIND_POD: _ClassVar[BlockingKind]
    BLOCKING_KIND_NODE: _ClassVar[BlockingKind]
    BLOCKING_KIND_CONSTRAINT: _ClassVar[BlockingKind]
    BLOCKING_KIND_TAINT: _ClassVar[BlockingKind]
    BLOCKING_KIND_SELECTOR: _ClassVar[BlockingKind]
    BLOCKING_KIND_RESOURCE: _ClassVar[BlockingKind]
    BLOCKING_KIND_LABEL: _ClassVar[BlockingKind]

class FixKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FIX_KIND_UNSPECIFIED: _ClassVar[FixKind]
    FIX_KIND_WAIT: _ClassVar[FixKind]
    FIX_KIND_EVICT: _ClassVar[FixKind]
    FIX_KIND_RELAX: _ClassVar[FixKind]
    FIX_KIND_UNCORDON: _ClassVar[FixKind]
    FIX_KIND_ADD_NODES: _ClassVar[FixKind]
    FIX_KIND_RESIZE: _ClassVar[FixKind]
    FIX_KIND_MOVE: _ClassVar[FixKind]

class GangState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GANG_STATE_UNSPECIFIED: _ClassVar[GangState]
    GANG_STATE_FORMING: _ClassVar[GangState]
    GANG_STATE_PENDING: _ClassVar[GangState]
    GANG_STATE_BLOCKED: _ClassVar[GangState]
    GANG_STATE_INVALID: _ClassVar[GangState]
    GANG_STATE_RESERVED: _ClassVar[GangState]
    GANG_STATE_COMMITTING: _ClassVar[GangState]
    GANG_STATE_BOUND: _ClassVar[GangState]
    GANG_STATE_DEGRADED: _ClassVar[GangState]

class ChangeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_KIND_UNSPECIFIED: _ClassVar[ChangeKind]
    CHANGE_KIND_RESET: _ClassVar[ChangeKind]
    CHANGE_KIND_ADDED: _ClassVar[ChangeKind]
    CHANGE_KIND_CHANGED: _ClassVar[ChangeKind]
    CHANGE_KIND_DELETED: _ClassVar[ChangeKind]
    CHANGE_KIND_SYNCED: _ClassVar[ChangeKind]
VERDICT_UNSPECIFIED: Verdict
VERDICT_PLACED: Verdict
VERDICT_BLOCKED: Verdict
VERDICT_IMPOSSIBLE: Verdict
VERDICT_INVALID: Verdict
PROOF_UNSPECIFIED: Proof
PROOF_OPTIMAL: Proof
PROOF_GAP: Proof
PROOF_TIMED_OUT: Proof
PROOF_PROVEN: Proof
REASON_CODE_UNSPECIFIED: ReasonCode
REASON_CODE_INVALID_GANG: ReasonCode
REASON_CODE_NO_DOMAIN_LARGE_ENOUGH: ReasonCode
REASON_CODE_NO_NODE_MATCHES: ReasonCode
REASON_CODE_CLUSTER_TOO_SMALL: ReasonCode
REASON_CODE_NO_DOMAIN_FITS: ReasonCode
REASON_CODE_FRAGMENTED: ReasonCode
REASON_CODE_NOT_ENOUGH_CAPACITY: ReasonCode
REASON_CODE_TIMED_OUT: ReasonCode
REASON_CODE_INTERNAL_ERROR: ReasonCode
REASON_CODE_WAITING_FOR_MEMBERS: ReasonCode
BLOCKING_KIND_UNSPECIFIED: BlockingKind
BLOCKING_KIND_POD: BlockingKind
BLOCKING_KIND_NODE: BlockingKind
BLOCKING_KIND_CONSTRAINT: BlockingKind
BLOCKING_KIND_TAINT: BlockingKind
BLOCKING_KIND_SELECTOR: BlockingKind
BLOCKING_KIND_RESOURCE: BlockingKind
BLOCKING_KIND_LABEL: BlockingKind
FIX_KIND_UNSPECIFIED: FixKind
FIX_KIND_WAIT: FixKind
FIX_KIND_EVICT: FixKind
FIX_KIND_RELAX: FixKind
FIX_KIND_UNCORDON: FixKind
FIX_KIND_ADD_NODES: FixKind
FIX_KIND_RESIZE: FixKind
FIX_KIND_MOVE: FixKind
GANG_STATE_UNSPECIFIED: GangState
GANG_STATE_FORMING: GangState
GANG_STATE_PENDING: GangState
GANG_STATE_BLOCKED: GangState
GANG_STATE_INVALID: GangState
GANG_STATE_RESERVED: GangState
GANG_STATE_COMMITTING: GangState
GANG_STATE_BOUND: GangState
GANG_STATE_DEGRADED: GangState
CHANGE_KIND_UNSPECIFIED: ChangeKind
CHANGE_KIND_RESET: ChangeKind
CHANGE_KIND_ADDED: ChangeKind
CHANGE_KIND_CHANGED: ChangeKind
CHANGE_KIND_DELETED: ChangeKind
CHANGE_KIND_SYNCED: ChangeKind

class PlanRequest(_message.Message):
    __slots__ = ("manifests", "jointly", "evict", "defragment")
    MANIFESTS_FIELD_NUMBER: _ClassVar[int]
    JOINTLY_FIELD_NUMBER: _ClassVar[int]
    EVICT_FIELD_NUMBER: _ClassVar[int]
    DEFRAGMENT_FIELD_NUMBER: _ClassVar[int]
    manifests: bytes
    jointly: bool
    evict: bool
    defragment: bool
    def __init__(self, manifests: _Optional[bytes] = ..., jointly: _Optional[bool] = ..., evict: _Optional[bool] = ..., defragment: _Optional[bool] = ...) -> None: ...

class PlanResponse(_message.Message):
    __slots__ = ("schema", "snapshot", "gangs", "batch")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    GANGS_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    schema: str
    snapshot: ClusterSummary
    gangs: _containers.RepeatedCompositeFieldContainer[Decision]
    batch: BatchResult
    def __init__(self, schema: _Optional[str] = ..., snapshot: _Optional[_Union[ClusterSummary, _Mapping]] = ..., gangs: _Optional[_Iterable[_Union[Decision, _Mapping]]] = ..., batch: _Optional[_Union[BatchResult, _Mapping]] = ...) -> None: ...

class ClusterSummary(_message.Message):
    __slots__ = ("nodes", "ready", "gpus", "free_gpus")
    NODES_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    FREE_GPUS_FIELD_NUMBER: _ClassVar[int]
    nodes: int
    ready: int
    gpus: int
    free_gpus: int
    def __init__(self, nodes: _Optional[int] = ..., ready: _Optional[int] = ..., gpus: _Optional[int] = ..., free_gpus: _Optional[int] = ...) -> None: ...

class BatchResult(_message.Message):
    __slots__ = ("proof", "objective")
    PROOF_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    proof: Proof
    objective: _containers.RepeatedCompositeFieldContainer[ObjectiveTerm]
    def __init__(self, proof: _Optional[_Union[Proof, str]] = ..., objective: _Optional[_Iterable[_Union[ObjectiveTerm, _Mapping]]] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("gang", "verdict", "proof", "source", "shape", "pods", "levels", "objective", "method", "reason", "notes", "time_ms")
    class LevelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: LevelUse
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[LevelUse, _Mapping]] = ...) -> None: ...
    GANG_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    PODS_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    gang: str
    verdict: Verdict
    proof: Proof
    source: str
    shape: Shape
    pods: _containers.RepeatedCompositeFieldContainer[PodPlace]
    levels: _containers.MessageMap[str, LevelUse]
    objective: _containers.RepeatedCompositeFieldContainer[ObjectiveTerm]
    method: str
    reason: Reason
    notes: _containers.RepeatedScalarFieldContainer[str]
    time_ms: float
    def __init__(self, gang: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., proof: _Optional[_Union[Proof, str]] = ..., source: _Optional[str] = ..., shape: _Optional[_Union[Shape, _Mapping]] = ..., pods: _Optional[_Iterable[_Union[PodPlace, _Mapping]]] = ..., levels: _Optional[_Mapping[str, LevelUse]] = ..., objective: _Optional[_Iterable[_Union[ObjectiveTerm, _Mapping]]] = ..., method: _Optional[str] = ..., reason: _Optional[_Union[Reason, _Mapping]] = ..., notes: _Optional[_Iterable[str]] = ..., time_ms: _Optional[float] = ...) -> None: ...

class Shape(_message.Message):
    __slots__ = ("pods", "gpus", "tp", "pp", "dp", "ep", "groups", "sources")
    class SourcesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PODS_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    TP_FIELD_NUMBER: _ClassVar[int]
    PP_FIELD_NUMBER: _ClassVar[int]
    DP_FIELD_NUMBER: _ClassVar[int]
    EP_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    pods: int
    gpus: int
    tp: int
    pp: int
    dp: int
    ep: int
    groups: _containers.RepeatedCompositeFieldContainer[Group]
    sources: _containers.ScalarMap[str, str]
    def __init__(self, pods: _Optional[int] = ..., gpus: _Optional[int] = ..., tp: _Optional[int] = ..., pp: _Optional[int] = ..., dp: _Optional[int] = ..., ep: _Optional[int] = ..., groups: _Optional[_Iterable[_Union[Group, _Mapping]]] = ..., sources: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Group(_message.Message):
    __slots__ = ("name", "pods", "tp", "pp", "dp", "ep", "sources")
    class SourcesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    PODS_FIELD_NUMBER: _ClassVar[int]
    TP_FIELD_NUMBER: _ClassVar[int]
    PP_FIELD_NUMBER: _ClassVar[int]
    DP_FIELD_NUMBER: _ClassVar[int]
    EP_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    name: str
    pods: int
    tp: int
    pp: int
    dp: int
    ep: int
    sources: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., pods: _Optional[int] = ..., tp: _Optional[int] = ..., pp: _Optional[int] = ..., dp: _Optional[int] = ..., ep: _Optional[int] = ..., sources: _Optional[_Mapping[str, str]] = ...) -> None: ...

class PodPlace(_message.Message):
    __slots__ = ("pod", "node", "rank", "group", "domains")
    class DomainsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    POD_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    pod: str
    node: str
    rank: int
    group: str
    domains: _containers.ScalarMap[str, str]
    def __init__(self, pod: _Optional[str] = ..., node: _Optional[str] = ..., rank: _Optional[int] = ..., group: _Optional[str] = ..., domains: _Optional[_Mapping[str, str]] = ...) -> None: ...

class LevelUse(_message.Message):
    __slots__ = ("used", "least")
    USED_FIELD_NUMBER: _ClassVar[int]
    LEAST_FIELD_NUMBER: _ClassVar[int]
    used: int
    least: int
    def __init__(self, used: _Optional[int] = ..., least: _Optional[int] = ...) -> None: ...

class ObjectiveTerm(_message.Message):
    __slots__ = ("term", "value", "bound")
    TERM_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    BOUND_FIELD_NUMBER: _ClassVar[int]
    term: str
    value: int
    bound: int
    def __init__(self, term: _Optional[str] = ..., value: _Optional[int] = ..., bound: _Optional[int] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("code", "message", "level", "needed", "best", "blocking", "fixes")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    BEST_FIELD_NUMBER: _ClassVar[int]
    BLOCKING_FIELD_NUMBER: _ClassVar[int]
    FIXES_FIELD_NUMBER: _ClassVar[int]
    code: ReasonCode
    message: str
    level: str
    needed: int
    best: int
    blocking: _containers.RepeatedCompositeFieldContainer[Blocking]
    fixes: _containers.RepeatedCompositeFieldContainer[Fix]
    def __init__(self, code: _Optional[_Union[ReasonCode, str]] = ..., message: _Optional[str] = ..., level: _Optional[str] = ..., needed: _Optional[int] = ..., best: _Optional[int] = ..., blocking: _Optional[_Iterable[_Union[Blocking, _Mapping]]] = ..., fixes: _Optional[_Iterable[_Union[Fix, _Mapping]]] = ...) -> None: ...

class Blocking(_message.Message):
    __slots__ = ("kind", "name", "fact")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FACT_FIELD_NUMBER: _ClassVar[int]
    kind: BlockingKind
    name: str
    fact: str
    def __init__(self, kind: _Optional[_Union[BlockingKind, str]] = ..., name: _Optional[str] = ..., fact: _Optional[str] = ...) -> None: ...

class Fix(_message.Message):
    __slots__ = ("change", "kind", "detail", "verified")
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    change: str
    kind: FixKind
    detail: _struct_pb2.Struct
    verified: bool
    def __init__(self, change: _Optional[str] = ..., kind: _Optional[_Union[FixKind, str]] = ..., detail: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., verified: _Optional[bool] = ...) -> None: ...

class Gang(_message.Message):
    __slots__ = ("gang", "state", "pods", "gpus", "where", "since_s", "reason", "plan")
    GANG_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PODS_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    SINCE_S_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    gang: str
    state: GangState
    pods: PodCounts
    gpus: int
    where: str
    since_s: float
    reason: str
    plan: str
    def __init__(self, gang: _Optional[str] = ..., state: _Optional[_Union[GangState, str]] = ..., pods: _Optional[_Union[PodCounts, _Mapping]] = ..., gpus: _Optional[int] = ..., where: _Optional[str] = ..., since_s: _Optional[float] = ..., reason: _Optional[str] = ..., plan: _Optional[str] = ...) -> None: ...

class PodCounts(_message.Message):
    __slots__ = ("present", "wanted", "bound")
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    BOUND_FIELD_NUMBER: _ClassVar[int]
    present: int
    wanted: int
    bound: int
    def __init__(self, present: _Optional[int] = ..., wanted: _Optional[int] = ..., bound: _Optional[int] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("namespace", "name")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("schema", "gang", "state", "pods", "gpus", "where", "since_s", "reason", "plan", "members", "decision")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    GANG_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PODS_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    SINCE_S_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    schema: str
    gang: str
    state: GangState
    pods: PodCounts
    gpus: int
    where: str
    since_s: float
    reason: str
    plan: str
    members: _containers.RepeatedCompositeFieldContainer[Member]
    decision: Decision
    def __init__(self, schema: _Optional[str] = ..., gang: _Optional[str] = ..., state: _Optional[_Union[GangState, str]] = ..., pods: _Optional[_Union[PodCounts, _Mapping]] = ..., gpus: _Optional[int] = ..., where: _Optional[str] = ..., since_s: _Optional[float] = ..., reason: _Optional[str] = ..., plan: _Optional[str] = ..., members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ..., decision: _Optional[_Union[Decision, _Mapping]] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("pod", "node", "bound", "rank")
    POD_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    BOUND_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    pod: str
    node: str
    bound: bool
    rank: int
    def __init__(self, pod: _Optional[str] = ..., node: _Optional[str] = ..., bound: _Optional[bool] = ..., rank: _Optional[int] = ...) -> None: ...

class ListGangsRequest(_message.Message):
    __slots__ = ("namespace",)
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class ListGangsResponse(_message.Message):
    __slots__ = ("schema", "gangs", "version")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    GANGS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    schema: str
    gangs: _containers.RepeatedCompositeFieldContainer[Gang]
    version: int
    def __init__(self, schema: _Optional[str] = ..., gangs: _Optional[_Iterable[_Union[Gang, _Mapping]]] = ..., version: _Optional[int] = ...) -> None: ...

class WatchGangsRequest(_message.Message):
    __slots__ = ("namespace", "after_version")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AFTER_VERSION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    after_version: int
    def __init__(self, namespace: _Optional[str] = ..., after_version: _Optional[int] = ...) -> None: ...

class WatchGangsResponse(_message.Message):
    __slots__ = ("kind", "version", "gang")
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    GANG_FIELD_NUMBER: _ClassVar[int]
    kind: ChangeKind
    version: int
    gang: Gang
    def __init__(self, kind: _Optional[_Union[ChangeKind, str]] = ..., version: _Optional[int] = ..., gang: _Optional[_Union[Gang, _Mapping]] = ...) -> None: ...

class GetTopologyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetTopologyResponse(_message.Message):
    __slots__ = ("schema", "levels", "evidence", "summary", "warnings", "nodes")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    schema: str
    levels: _containers.RepeatedCompositeFieldContainer[Level]
    evidence: _containers.RepeatedScalarFieldContainer[str]
    summary: TopologySummary
    warnings: _containers.RepeatedCompositeFieldContainer[TopologyWarning]
    nodes: _containers.RepeatedCompositeFieldContainer[TopologyNode]
    def __init__(self, schema: _Optional[str] = ..., levels: _Optional[_Iterable[_Union[Level, _Mapping]]] = ..., evidence: _Optional[_Iterable[str]] = ..., summary: _Optional[_Union[TopologySummary, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[TopologyWarning, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[TopologyNode, _Mapping]]] = ...) -> None: ...

class Level(_message.Message):
    __slots__ = ("name", "label", "domains", "nodes_without_label")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    NODES_WITHOUT_LABEL_FIELD_NUMBER: _ClassVar[int]
    name: str
    label: str
    domains: int
    nodes_without_label: int
    def __init__(self, name: _Optional[str] = ..., label: _Optional[str] = ..., domains: _Optional[int] = ..., nodes_without_label: _Optional[int] = ...) -> None: ...

class TopologySummary(_message.Message):
    __slots__ = ("nodes", "usable", "gpus", "free_gpus")
    NODES_FIELD_NUMBER: _ClassVar[int]
    USABLE_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    FREE_GPUS_FIELD_NUMBER: _ClassVar[int]
    nodes: int
    usable: int
    gpus: int
    free_gpus: int
    def __init__(self, nodes: _Optional[int] = ..., usable: _Optional[int] = ..., gpus: _Optional[int] = ..., free_gpus: _Optional[int] = ...) -> None: ...

class TopologyWarning(_message.Message):
    __slots__ = ("code", "level", "count", "nodes", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    level: str
    count: int
    nodes: _containers.RepeatedScalarFieldContainer[str]
    message: str
    def __init__(self, code: _Optional[str] = ..., level: _Optional[str] = ..., count: _Optional[int] = ..., nodes: _Optional[_Iterable[str]] = ..., message: _Optional[str] = ...) -> None: ...

class TopologyNode(_message.Message):
    __slots__ = ("name", "domains", "gpus", "free_gpus", "usable")
    class DomainsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    FREE_GPUS_FIELD_NUMBER: _ClassVar[int]
    USABLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    domains: _containers.ScalarMap[str, str]
    gpus: int
    free_gpus: int
    usable: bool
    def __init__(self, name: _Optional[str] = ..., domains: _Optional[_Mapping[str, str]] = ..., gpus: _Optional[int] = ..., free_gpus: _Optional[int] = ..., usable: _Optional[bool] = ...) -> None: ...

class SnapshotRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SnapshotResponse(_message.Message):
    __slots__ = ("version", "service", "snapshot", "topology", "gangs")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    GANGS_FIELD_NUMBER: _ClassVar[int]
    version: int
    service: str
    snapshot: ClusterSummary
    topology: GetTopologyResponse
    gangs: _containers.RepeatedCompositeFieldContainer[Gang]
    def __init__(self, version: _Optional[int] = ..., service: _Optional[str] = ..., snapshot: _Optional[_Union[ClusterSummary, _Mapping]] = ..., topology: _Optional[_Union[GetTopologyResponse, _Mapping]] = ..., gangs: _Optional[_Iterable[_Union[Gang, _Mapping]]] = ...) -> None: ...

class Faults(_message.Message):
    __slots__ = ("faults",)
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    faults: _containers.RepeatedCompositeFieldContainer[Fault]
    def __init__(self, faults: _Optional[_Iterable[_Union[Fault, _Mapping]]] = ...) -> None: ...

class Fault(_message.Message):
    __slots__ = ("object", "field", "value", "wanted")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    object: str
    field: str
    value: str
    wanted: str
    def __init__(self, object: _Optional[str] = ..., field: _Optional[str] = ..., value: _Optional[str] = ..., wanted: _Optional[str] = ...) -> None: ...
