"""InfiniBand fabrics that do not exist, and the text that `ibnetdiscover` would print of them.

Rail-optimised fat trees: each host has one adapter per rail, each group of
hosts one leaf switch per rail, all leaves of a pod go to all its spines. The
same arguments give the same text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

FACTORY = "MT4129 ConnectX7   Mellanox Technologies"
AGGREGATION = "Mellanox Technologies Aggregation Node"
_FREE_PORT = 900


@dataclass(frozen=True, slots=True)
class Cable:
    """A cable between two ports; each end is a GUID and a port number."""

    one: tuple[str, int]
    other: tuple[str, int]
    speed: str = "4xNDR"


@dataclass(frozen=True, slots=True)
class IbFabric:
    """A fabric and the truth about it.

    `switches` and `adapters` give the description of each GUID. `group_of` and
    `pod_of` give each compute host its group and its pod. `host_cables` are
    the positions of the compute hosts' cables in `cables`.
    """

    switches: Mapping[str, str]
    adapters: Mapping[str, str]
    cables: tuple[Cable, ...]
    group_of: Mapping[str, int]
    pod_of: Mapping[str, int]
    leaf: Mapping[tuple[int, int], str]
    host_cables: tuple[int, ...]

    def without(self, at: int) -> IbFabric:
        """The fabric with one cable taken out."""
        return replace(self, cables=self.cables[:at] + self.cables[at + 1 :])

    def moved(self, at: int, switch: str) -> IbFabric:
        """The fabric with the switch end of one cable put into a free port of another switch."""
        cable = replace(self.cables[at], one=(switch, _FREE_PORT))
        return replace(self, cables=(*self.cables[:at], cable, *self.cables[at + 1 :]))

    def slowed(self, at: int, speed: str) -> IbFabric:
        """The fabric with one cable at another speed."""
        cable = replace(self.cables[at], speed=speed)
        return replace(self, cables=(*self.cables[:at], cable, *self.cables[at + 1 :]))


@dataclass(slots=True)
class _Builder:
    switches: dict[str, str]
    adapters: dict[str, str]
    cables: list[Cable]
    ports: dict[str, int]

    def switch(self, number: int, description: str) -> str:
        guid = f"{0x2C5EAB0300000000 + (number << 8):016x}"
        self.switches[guid] = description
        return guid

    def adapter(self, number: int, description: str) -> str:
        guid = f"{0xE09D730300000000 + (number << 4):016x}"
        self.adapters[guid] = description
        return guid

    def free_port(self, guid: str) -> int:
        self.ports[guid] += 1
        return self.ports[guid]

    def connect(self, one: str, other: str) -> int:
        """Puts a cable between free ports; its position among the cables."""
        self.cables.append(Cable((one, self.free_port(one)), (other, self.free_port(other))))
        return len(self.cables) - 1

    def trunk(self, one: str, other: str, cables: int) -> None:
        """Puts some parallel cables between two switches."""
        for _ in range(cables):
            self.connect(one, other)


def rail_fabric(
    groups: int,
    *,
    rails: int = 4,
    hosts: int = 8,
    spines: int = 4,
    pods: int = 1,
    cores: int = 0,
    aligned: bool = False,
    trunk: int = 1,
    sharp: bool = True,
    factory: int = 0,
    managers: int = 0,
) -> IbFabric:
    """Pods of `groups` groups of `hosts` hosts each, with `spines` spines a pod and `cores` over all pods.

    `aligned` cables as large fabrics do: a spine serves one rail, and a core
    one spine of each pod; otherwise all go to all. `trunk` is the number of
    parallel cables between two switches.
    `sharp` puts an aggregation node on every switch, `factory` that many
    adapters with a factory description on the first leaves, `managers` that
    many management hosts on two leaves each.
    """
    made = _Builder({}, {}, [], defaultdict(int))
    leaf: dict[tuple[int, int], str] = {}
    group_of: dict[str, int] = {}
    pod_of: dict[str, int] = {}
    host_cables: list[int] = []
    core = [made.switch(60_000 + at, f"MF0;core-{at + 1:02d}:MQM9700/U1") for at in range(cores)]
    for pod in range(pods):
        spine = [
            made.switch(30_000 + pod * spines + at, f"MF0;spine-{pod + 1}-{at + 1:02d}:MQM9700/U1")
            for at in range(spines)
        ]
        for at, one in enumerate(spine):
            for core_at, other in enumerate(core):
                if not aligned or core_at % spines == at:
                    made.trunk(one, other, trunk)
        for group in range(pod * groups, (pod + 1) * groups):
            for rail in range(rails):
                title = f"MF0;leaf-{group + 1:03d}-r{rail + 1}:MQM9700/U{rail % 2 + 1}"
                leaf[group, rail] = made.switch(group * rails + rail + 1, title)
                for spine_at, other in enumerate(spine):
                    if not aligned or spine_at % rails == rail:
                        made.trunk(leaf[group, rail], other, trunk)
            for at in range(hosts):
                host = f"gpu-{group + 1:03d}-{at + 1:02d}"
                group_of[host], pod_of[host] = group, pod
                for rail in range(rails):
                    guid = made.adapter((group * hosts + at) * rails + rail + 1, f"{host} mlx5_{rail}")
                    host_cables.append(made.connect(leaf[group, rail], guid))
    _strangers(made, leaf, sharp=sharp, factory=factory, managers=managers)
    return IbFabric(
        made.switches, made.adapters, tuple(made.cables), group_of, pod_of, leaf, tuple(host_cables)
    )


def _strangers(
    made: _Builder, leaf: Mapping[tuple[int, int], str], *, sharp: bool, factory: int, managers: int
) -> None:
    """What is no compute host: SHARP nodes, unnamed adapters, management hosts."""
    leaves = list(leaf.values())
    for at in range(factory):
        made.connect(leaves[at % len(leaves)], made.adapter(0x8000000 + at, FACTORY))
    for at in range(managers):
        for side in range(2):
            guid = made.adapter(0x9000000 + at * 2 + side, f"CUFM-{at + 1:02d} mlx5_{side}")
            made.connect(leaves[-1 - side], guid)
    for at, switch in enumerate(list(made.switches) if sharp else ()):
        made.connect(switch, made.adapter(0x7000000 + at, AGGREGATION))


def ibnetdiscover_text(fabric: IbFabric, *, adapter_sections: bool = True, newline: str = "\n") -> str:
    """What the tool prints: a section per switch, then one per adapter."""
    ends: dict[str, list[tuple[int, str, int, str]]] = {guid: [] for guid in fabric.switches}
    for cable in fabric.cables:
        for (guid, port), (peer, peer_port) in ((cable.one, cable.other), (cable.other, cable.one)):
            ends.setdefault(guid, []).append((port, peer, peer_port, cable.speed))
    lines = [
        "#", "# Topology file: generated on Mon Jan  5 10:00:00 2026", "#",
        "# Initiated from node e09d730300000010 port e09d730300000010", "",
    ]  # fmt: skip
    for guid in fabric.switches:
        lines += _switch_section(fabric, guid, sorted(ends[guid]))
    for guid in fabric.adapters if adapter_sections else ():
        lines += _adapter_section(fabric, guid, sorted(ends.get(guid, ())))
    return newline.join(lines) + newline


def _switch_section(fabric: IbFabric, guid: str, ends: list[tuple[int, str, int, str]]) -> list[str]:
    lines = ["vendid=0x2c9", "devid=0xd2f2", f"sysimgguid=0x{guid}", f"switchguid=0x{guid}({guid})"]
    title = fabric.switches[guid]
    lines.append(
        f'Switch\t65 "S-{guid}"\t\t# "{title}" enhanced port 0 lid {int(guid[8:], 16) % 49151} lmc 0'
    )
    for port, peer, peer_port, speed in ends:
        if peer in fabric.switches:
            peer_id, text = f'"S-{peer}"[{peer_port}]', fabric.switches[peer]
        else:
            peer_id, text = f'"H-{peer}"[{peer_port}]({peer}) ', fabric.adapters[peer]
        lines.append(f'[{port}]\t{peer_id}\t\t# "{text}" lid {int(peer[8:], 16) % 49151} {speed}')
    return [*lines, ""]


def _adapter_section(fabric: IbFabric, guid: str, ends: list[tuple[int, str, int, str]]) -> list[str]:
    lines = ["vendid=0x2c9", "devid=0x1021", f"sysimgguid=0x{guid}", f"caguid=0x{guid}"]
    lines.append(f'Ca\t1 "H-{guid}"\t\t# "{fabric.adapters[guid]}"')
    lid = int(guid[8:], 16) % 49151
    for port, peer, peer_port, speed in ends:
        title = fabric.switches[peer]
        lines.append(
            f'[{port}]({guid}) \t"S-{peer}"[{peer_port}]\t\t# lid {lid} lmc 0 "{title}" '
            f"lid {int(peer[8:], 16) % 49151} {speed}"
        )
    return [*lines, ""]
