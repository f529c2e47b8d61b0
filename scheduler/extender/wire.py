"""The extender protocol's types as kube-scheduler writes and reads them (v1 of its extender API)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from scheduler.model import InvalidField, InvalidInput

_NAMES_WANTED = "a list of node names, or Nodes with items"


class _Wire(msgspec.Struct, rename="pascal"):
    """Go field names outside, unknown fields ignored."""


class NodeItems(msgspec.Struct):
    """A NodeList, as sent when the extender is configured with nodeCacheCapable: false."""

    items: list[msgspec.Raw] | None = None


class FilterArgs(_Wire):
    """What filter and prioritize are asked."""

    pod: msgspec.Raw
    nodes: NodeItems | None = None
    node_names: list[str] | None = None


Filled = Annotated[str, msgspec.Meta(min_length=1)]


class BindArgs(_Wire):
    """What bind is asked."""

    pod_name: Filled
    pod_namespace: str
    pod_u_i_d: Filled = msgspec.field(name="PodUID")  # a rename cannot know that it is spelt in capitals
    node: Filled


class MetaVictims(_Wire):
    """Pods to evict from one node, by uid."""

    pods: list[dict[str, Any]] | None = None
    num_p_d_b_violations: int = msgspec.field(name="NumPDBViolations", default=0)


class PreemptArgs(_Wire):
    """What preempt is asked; which map is filled depends on nodeCacheCapable."""

    pod: msgspec.Raw
    node_name_to_victims: dict[str, MetaVictims] | None = None
    node_name_to_meta_victims: dict[str, MetaVictims] | None = None


class ObjectName(msgspec.Struct):
    """Its name and uid; empty where there is none."""

    name: str = ""
    namespace: str = "default"
    uid: str = ""


class NamedObject(msgspec.Struct):
    """Enough of an object to say which one it is."""

    metadata: ObjectName


_FILTER = msgspec.json.Decoder(FilterArgs)
_BIND = msgspec.json.Decoder(BindArgs)
_PREEMPT = msgspec.json.Decoder(PreemptArgs)
_NAMED = msgspec.json.Decoder(NamedObject)
_encode = msgspec.json.Encoder().encode


def read_filter(body: bytes) -> tuple[FilterArgs, list[str]]:
    """The arguments and the node names, wherever they stand; raises InvalidInput."""
    args: FilterArgs = _decode(_FILTER, body, "filter")
    if args.node_names is not None:
        return args, args.node_names
    if args.nodes is None or args.nodes.items is None:
        raise InvalidInput(InvalidField("filter request", "NodeNames", "null", _NAMES_WANTED))
    return args, [_named(item).name for item in args.nodes.items]


def read_bind(body: bytes) -> BindArgs:
    """The arguments of bind; raises InvalidInput."""
    args: BindArgs = _decode(_BIND, body, "bind")
    return args


def read_preempt(body: bytes) -> PreemptArgs:
    """The arguments of preempt; raises InvalidInput."""
    args: PreemptArgs = _decode(_PREEMPT, body, "preempt")
    return args


def uid_of(pod: msgspec.Raw) -> str:
    """The uid of the pod in a request; raises InvalidInput."""
    return _named(pod).uid


def _named(raw: msgspec.Raw) -> ObjectName:
    named: NamedObject = _decode(_NAMED, raw, "object")
    return named.metadata


def _decode(decoder: msgspec.json.Decoder[Any], body: bytes | msgspec.Raw, what: str) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        start = bytes(body)[:60].decode(errors="replace")
        raise InvalidInput(
            InvalidField(f"{what} request", "body", start, f"JSON of the extender API ({error})")
        ) from error


def write_filter(args: FilterArgs, keep: list[str], *, refused: list[str], reason: str) -> bytes:
    """The nodes that may be used; the others with one constant reason, as no work for preemption.

    Nodes that appear nowhere count as refused too, so that a planned pod's answer stays short.
    """
    reply: dict[str, Any] = {
        "Nodes": None,
        "NodeNames": keep,
        "FailedNodes": {},
        "FailedAndUnresolvableNodes": dict.fromkeys(refused, reason),
        "Error": "",
    }
    if args.node_names is None and args.nodes is not None:
        kept = set(keep)
        items = [item for item in args.nodes.items or () if _named(item).name in kept]
        reply["Nodes"], reply["NodeNames"] = {"metadata": {}, "items": items}, None
    return _encode(reply)


def write_filter_error(message: str) -> bytes:
    """An internal fault in the form that filter answers have; older schedulers treat % as a verb."""
    return _encode({"Nodes": None, "NodeNames": None, "FailedNodes": {}, "Error": message.replace("%", "")})


def write_scores(scores: list[tuple[str, int]]) -> bytes:
    """Scores 0 to 10; whole numbers, or the scheduler drops the answer."""
    return _encode([{"Host": host, "Score": score} for host, score in scores])


def write_bind(error: str = "") -> bytes:
    """Empty for success, and only after the API server confirmed the Binding."""
    return _encode({"Error": error.replace("%", "")})


def write_preempt(victims: dict[str, MetaVictims]) -> bytes:
    """The candidates that may be preempted; none at all is a valid answer."""
    return _encode(
        {
            "NodeNameToMetaVictims": {
                node: {
                    "Pods": [{"UID": _victim_uid(pod)} for pod in one.pods or ()],
                    "NumPDBViolations": one.num_p_d_b_violations,
                }
                for node, one in victims.items()
            }
        }
    )


def victims_of(one: MetaVictims) -> list[str]:
    """Uids of the victims on one node, in either form of the request."""
    return [_victim_uid(pod) for pod in one.pods or ()]


def _victim_uid(pod: dict[str, Any]) -> str:
    meta = pod.get("metadata")
    return str(pod.get("UID") or (meta.get("uid", "") if isinstance(meta, dict) else ""))
