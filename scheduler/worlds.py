"""The world that a configuration asks for."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.config import Config
from scheduler.fabrics import sources_of
from scheduler.world import World


def world_of(config: Config, objects: Sequence[object] = ()) -> World:
    """A world without nodes, its fabric from the configured sources; `objects` are the cluster's among them.

    Raises InvalidInput for a file that is a source and cannot be used.
    """
    levels, family = config.levels, config.family
    sources = sources_of(config.sources, levels=levels, family=family, objects=objects)
    return World(levels, config.policies, family=family, sources=sources)
