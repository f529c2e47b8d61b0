"""Arnold's three cases (arXiv 2509.15940): weighted largest spread of communication groups over minipods.

A minipod is a spine. The pipeline is the unit, as in the paper. What else runs is not published: here
gangs of 1 to 16 nodes, each in a minipod drawn at random, until half as many nodes again as the job needs
are free (all of them in the smallest case).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from statistics import mean

import numpy as np

from benchmarks.figures import Figure
from benchmarks.published.arnold_rivals import RIVALS, Case, minipods_of
from benchmarks.published.finding import Finding
from benchmarks.simulate.clusters import ClusterSource
from benchmarks.simulate.pricing import Sizes, arnold_score, groups
from benchmarks.simulate.report.charts import Axis, Line, chart
from benchmarks.simulate.report.page import sheet
from benchmarks.simulate.report.tables import Cell, table
from benchmarks.simulate.site import Site, Wishes
from benchmarks.simulate.traces.job import GPU, Job
from scheduler.model import Node, NodeName
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Int32, Int64, Limits
from topology.colours import colour
from topology.synthetic import SPINE

ALPHAS = tuple(at / 10 for at in range(11))
PUBLISHED_MEAN, PUBLISHED_MOST = 1.2, 1.67


CASES = (
    Case("i: 3 minipods, 18 nodes, DP 12 x TP 4 x PP 2", 3, 18, 6, 2),
    Case("ii: 5 minipods, 438 nodes, DP 24 x TP 4 x PP 8", 5, 438, 12, 8),
    Case("iii: 11 minipods, 1,019 nodes, DP 46 x TP 8 x PP 8", 11, 1019, 46, 8),
)

LIMITS = Limits(deterministic_s=1.0, refine_s=0.5)
"""Of every decision here: leading terms are settled far sooner, what is left is not in the score."""

BY_NODE = ", node by node"


def occupied(case: Case, seed: int) -> Int64:
    """Nodes that are taken, by index."""
    draw, minipod = random.Random(f"arnold-{seed}"), minipods_of(case)
    taken = np.zeros(case.nodes, dtype=np.bool_)
    leave = min(case.nodes, case.job_nodes * 3 // 2)
    while (busy := int(taken.sum())) < case.nodes - leave:
        open_nodes = np.flatnonzero((minipod == draw.randrange(case.minipods)) & ~taken)
        count = min(draw.randint(1, 16), len(open_nodes), case.nodes - leave - busy)
        taken[open_nodes[:count]] = True
    found: Int64 = np.flatnonzero(taken)
    return found


def by_engine(case: Case, taken: Int64) -> tuple[Int32, str]:
    """The minipod of every rank as the engine places the job, and how far that is proven."""
    minipod = minipods_of(case)
    nodes = tuple(
        Node(
            NodeName(f"n{at:04}"),
            {"kubernetes.io/hostname": f"n{at:04}", SPINE: f"m{minipod[at]}"},
            allocatable={GPU: 8, "cpu": 96_000, "memory": 1 << 40, "pods": 110},
        )
        for at in range(case.nodes)
    )
    site = Site(ClusterSource("arnold", nodes), Wishes(sizes=Sizes(8, case.pipeline)))
    if len(taken):
        site.take(Job("others", 0.0, 1.0, len(taken), 8), taken.astype(np.int32))
    answer = place(site.problem(Job("job", 0.0, 1.0, case.job_nodes, 8)), limits=LIMITS)
    assert isinstance(answer, Assignment), answer.message
    return minipod[answer.nodes], answer.proof


@dataclass(frozen=True, slots=True)
class Scores:
    """One case and seed: a score per `ALPHAS` of the engine and of every rival."""

    case: Case
    seed: int
    ours: tuple[float, ...]
    rivals: Mapping[str, tuple[float, ...]]
    proof: str

    def ratio(self, at: int, *, by_node: bool = False) -> float:
        """The best rival's score over ours, of the rivals of one form."""
        form = [scores for name, scores in self.rivals.items() if name.endswith(BY_NODE) == by_node]
        return min(scores[at] for scores in form) / self.ours[at]


def scored(case: Case, seed: int) -> Scores:
    """Everybody on the same free nodes."""
    taken = occupied(case, seed)
    free = np.bincount(minipods_of(case)) - np.bincount(minipods_of(case)[taken], minlength=case.minipods)
    ours, proof = by_engine(case, taken)
    rivals = {}
    loose = replace(case, units=case.job_nodes, pipeline=1)
    for name, fill in RIVALS.items():
        for form, as_case in ((name, case), (f"{name}{BY_NODE}", loose)):
            units = fill(free, as_case, random.Random(f"{name}-{seed}"))
            rivals[form] = _scores(case, np.array(units, dtype=np.int32).ravel())
    return Scores(case, seed, _scores(case, ours), rivals, proof)


def _scores(case: Case, domain: Int32) -> tuple[float, ...]:
    found = groups(case.job_nodes, 8, Sizes(8, case.pipeline))
    return tuple(arnold_score(found, domain, alpha=alpha) for alpha in ALPHAS)


def run(*, seeds: int, tell: Callable[[str], None]) -> Finding:
    """All cases and seeds."""
    found = []
    for case in CASES:
        for seed in range(seeds):
            found.append(scored(case, seed))
        ratios = [one.ratio(at) for one in found if one.case is case for at in range(len(ALPHAS))]
        tell(f"case {case.name}: {mean(ratios):.3f}x, most {max(ratios):.3f}x")
    how = f"{len(CASES)} cases, {seeds} occupancies, alpha 0 to 1; best of {', '.join(RIVALS)}"
    figures = []
    for form, by_node in FORMS.items():
        ratios = [one.ratio(at, by_node=by_node) for one in found for at in range(len(ALPHAS))]
        head = f"largest weighted spread, best rival ({form}) / ours"
        figures.append(Figure(f"{head}, mean", mean(ratios), "x", PUBLISHED_MEAN, how, True))
        figures.append(Figure(f"{head}, most", max(ratios), "x", PUBLISHED_MOST, how, True))
        figures.append(Figure(f"{head}, least", min(ratios), "x", 1.0, LEAST[by_node], True))
    return Finding(tuple(figures), tuple(_lines(found)), _page(found))


def _lines(found: list[Scores]) -> list[str]:
    alphas = (0.0, 0.3, 0.5, 1.0)
    lines = ["| case | rivals | " + " | ".join(f"alpha {alpha:g}" for alpha in alphas) + " | most | proven |"]
    lines.append("|---|---|" + "---|" * (len(alphas) + 2))
    for case, (form, by_node) in product(CASES, FORMS.items()):
        own = [one for one in found if one.case is case]
        means = [mean(one.ratio(ALPHAS.index(alpha), by_node=by_node) for one in own) for alpha in alphas]
        most = max(one.ratio(at, by_node=by_node) for one in own for at in range(len(ALPHAS)))
        proven = sum(one.proof == "optimal" for one in own)
        cells = " | ".join(f"{value:.3f}x" for value in means)
        lines.append(f"| {case.name} | {form} | {cells} | {most:.3f}x | {proven} of {len(own)} |")
    return [*lines, "", *DIFFERENCES]


FORMS = {"node by node": True, "pipeline by pipeline": False}
"""How rivals place, and whether that is the form of single nodes."""

LEAST = {
    False: "nowhere worse than the best rival",
    True: "a rival that tears pipelines can have the smaller data-parallel spread, at alpha near 1",
}
DIFFERENCES = (
    (
        "Score: alpha x largest spread (minipods touched) of a data-parallel group + (1 - alpha) x that of a "
        "pipeline; the ratio is the best rival's score over ours."
    ),
    (
        "Different from the paper: the occupancy, which it does not publish (ours: gangs of 1 to 16 nodes in "
        "random minipods until 1.5 times the job's nodes are free; in case i all 18 are); where TP is 4, the "
        "two replicas that share a node are one column."
    ),
    (
        "The rivals are written from their descriptions, in two forms. Node by node, as schedulers of pods "
        "place: the published figures have its shape, no gain in the smallest case and a gain that shrinks "
        "as alpha goes to 1. Pipeline by pipeline, whole where one fits, is a stronger rival than the paper "
        "had: at alpha 0 it tears no pipeline, and nothing is left to gain."
    ),
)


def _page(found: list[Scores]) -> str:
    x = Axis("alpha: weight of the data-parallel spread", lambda value: f"{value:g}", low=0.0, high=1.0)
    y = Axis("best rival / ours", lambda value: f"{value:.2f}x", low=0.8)
    lines = []
    for number, (case, (form, by_node)) in enumerate(product(CASES, FORMS.items())):
        own = [one for one in found if one.case is case]
        points = [
            (alpha, mean(one.ratio(at, by_node=by_node) for one in own)) for at, alpha in enumerate(ALPHAS)
        ]
        lines.append(Line(f"{case.name}, {form}", colour(number), points))
    lines.append(Line("no gain", "#8a97a5", [(0.0, 1.0), (1.0, 1.0)], dashed=True))
    legend = "".join(f'<span><i style="background:{line.colour}"></i>{line.name}</span>' for line in lines)
    drawn = f'<div class="legend">{legend}</div>{chart("ratio", lines, x, y, height=340)}'
    rows = [
        [
            Cell(case.name),
            Cell(name),
            *(Cell(f"{value:.2f}", value) for value in _means(found, case, name)),
        ]
        for case in CASES
        for name in ("lockstep", *RIVALS, *(f"{name}{BY_NODE}" for name in RIVALS))
    ]
    heads = ["case", "policy", *(f"{alpha:g}" for alpha in ALPHAS)]
    parts = [
        ("ratio", "Weighted largest spread, best rival over ours", "Mean of the occupancies.", drawn),
        ("scores", "Scores by alpha", "", table(heads, rows, caption="scores")),
        ("differences", "What is the same and what is not", "", "".join(f"<p>{t}</p>" for t in DIFFERENCES)),
    ]
    return sheet("Arnold's three cases", "spread of communication groups over minipods", parts, "")


def _means(found: list[Scores], case: Case, name: str) -> list[float]:
    own = [one for one in found if one.case is case]
    rows = [one.ours if name == "lockstep" else one.rivals[name] for one in own]
    return [mean(row[at] for row in rows) for at in range(len(ALPHAS))]
