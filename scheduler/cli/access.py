"""Which cluster a command asks, and as whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.kube.client import Access


@dataclass(frozen=True, slots=True)
class Asked:
    """A kubeconfig, a context of it, and the user to impersonate; None for what kubectl would take."""

    kubeconfig: str | None = None
    context: str | None = None
    user: str | None = None

    def load(self) -> Access:
        """How to reach it; raises NoAccess."""
        from scheduler.kube.client import load_access  # noqa: PLC0415  (loads aiohttp, only where a cluster is asked)

        return load_access(kubeconfig=self.kubeconfig, context=self.context, user=self.user)
