"""Which version this is."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The version of the installed package; "unknown" when it runs from a folder without one."""
    try:
        return metadata.version("lockstep")
    except metadata.PackageNotFoundError:
        return "unknown"
