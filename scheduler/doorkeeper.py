"""Askers of the metrics, the API and gRPC, known by the tokens of the API server."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from scheduler.kube.client import Unclear
from scheduler.kube.reviews import Act, Reviewer, TooManyReviews, User
from scheduler.viewers import Overloaded, Unknown, Viewer

_Answer = TypeVar("_Answer")


class Tokens:
    """A doorkeeper that asks the API server who that is and what they may see."""

    def __init__(self, reviewer: Reviewer) -> None:
        self._reviewer = reviewer

    async def viewer(self, token: str, *, namespace: str) -> Viewer:
        """Raises Unknown and Overloaded."""
        user = await self._user(token)
        nodes = await self._told(self._reviewer.may(user, Act("list", "nodes")))
        all_pods = await self._told(self._reviewer.may(user, Act("list", "pods")))
        pods = all_pods
        if namespace and not all_pods:
            pods = await self._told(self._reviewer.may(user, Act("list", "pods", namespace=namespace)))
        return Viewer(user.name, pods=pods, all_pods=all_pods, nodes=nodes)

    async def may_scrape(self, token: str) -> bool:
        """Raises Unknown and Overloaded."""
        user = await self._user(token)
        return await self._told(self._reviewer.may(user, Act("get", path="/metrics")))

    async def _user(self, token: str) -> User:
        user = await self._told(self._reviewer.user(token))
        if user is None:
            raise Unknown
        return user

    async def _told(self, asked: Awaitable[_Answer]) -> _Answer:
        try:
            return await asked
        except TooManyReviews as error:
            raise Overloaded(str(error)) from error
        except Unclear as error:
            raise Overloaded(f"the API server does not say who that is: {error}") from error
