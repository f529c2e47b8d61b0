"""Ports of their own, TLS with clients known by name, tokens, and limits on what costs time or sockets."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from scheduler.config import Config, ServiceConfig, Tls
from scheduler.engine.facts import NodesSeen, PodSeen
from scheduler.extender.connections import ConnectionLimits
from scheduler.extender.tls import Files, ServerTls
from scheduler.model import InvalidInput
from scheduler.ports import listening
from scheduler.rpc.lockstep.v1 import lockstep_pb2 as pb
from scheduler.rpc.lockstep.v1.lockstep_pb2_grpc import LockstepStub
from scheduler.rpc.server import listening as listening_rpc
from scheduler.service import Service
from scheduler.viewers import Doorkeeper, Open, Unknown, Viewer
from tests.builders import members, two_leaves
from tests.certificates import Authority, Pair
from tests.contract.test_extender_server import FakeCluster

BIND = {"PodName": "p", "PodNamespace": "default", "PodUID": "u", "Node": "n1"}


@dataclass
class Keeper:
    """Knows users by tokens that are their names."""

    viewers: dict[str, Viewer] = field(default_factory=dict)

    async def viewer(self, token: str, *, namespace: str) -> Viewer:
        if token not in self.viewers:
            raise Unknown
        viewer = self.viewers[token]
        return viewer if viewer.all_pods else replace(viewer, pods=namespace == token)

    async def may_scrape(self, token: str) -> bool:
        return (await self.viewer(token, namespace="")).nodes


def run(
    test: Callable[[Service, list[str]], Awaitable[None]],
    *,
    keeper: Doorkeeper | None = None,
    limits: ConnectionLimits | None = None,
    **config: Any,
) -> None:
    async def inside() -> None:
        settings = ServiceConfig(port=0, **config)
        service = Service(Config(service=settings))
        service.connect(FakeCluster())
        service.observe(NodesSeen(two_leaves()))
        loop = asyncio.create_task(service.run())
        try:
            async with listening(service, settings, doorkeeper=keeper or Open(), limits=limits) as urls:
                await asyncio.wait_for(test(service, list(urls)), 30)
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)

    asyncio.run(inside())


async def status(url: str, *, method: str = "GET", **kwargs: Any) -> int:
    async with aiohttp.ClientSession() as session, session.request(method, url, **kwargs) as reply:
        await reply.read()
        return reply.status


def test_each_port_answers_only_what_is_its_own() -> None:
    async def test(_: Service, urls: list[str]) -> None:
        scheduler, metrics, api = urls
        expected = {
            "/metrics": (404, 200, 404),
            "/v1/gangs": (404, 404, 200),
            "/healthz": (200, 200, 200),
        }
        for path, wanted in expected.items():
            assert tuple([await status(url + path) for url in (scheduler, metrics, api)]) == wanted, path
        posts = [await status(url + "/extender/bind", method="POST", json=BIND) for url in urls]
        assert posts == [200, 404, 404]

    run(test, metrics="127.0.0.1:0", api="127.0.0.1:0")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


def client_tls(authority: Authority, pair: Pair | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    if pair is not None:
        context.load_cert_chain(pair.cert, pair.key)
    return context


def server_tls(authority: Authority, client_ca: Path) -> tuple[Tls, Pair]:
    pair = authority.pair("lockstep", server=True)
    return Tls(str(pair.cert), str(pair.key), str(client_ca), ("system:kube-scheduler",)), pair


def test_only_a_client_with_the_right_name_from_the_right_authority_schedules(
    authority: Authority, tmp_path: Path
) -> None:
    tls, _ = server_tls(authority, authority.file)
    right = authority.pair("system:kube-scheduler")
    other_name = authority.pair("somebody")
    stranger = Authority(tmp_path / "other").pair("system:kube-scheduler")

    async def test(_: Service, urls: list[str]) -> None:
        url = urls[0] + "/extender/bind"
        assert url.startswith("https")
        asked: dict[str, Any] = {"method": "POST", "json": BIND}
        assert await status(url, **asked, ssl=client_tls(authority, right)) == 200
        assert await status(url, **asked, ssl=client_tls(authority, other_name)) == 403
        for pair in (stranger, None):
            with pytest.raises(aiohttp.ClientError):
                await status(url, **asked, ssl=client_tls(authority, pair))
        assert await status(urls[1] + "/metrics", ssl=client_tls(authority, None)) == 200

    run(test, tls=tls, metrics="127.0.0.1:0")


def test_certificates_are_renewed_without_a_restart(authority: Authority, tmp_path: Path) -> None:
    tls, pair = server_tls(authority, authority.file)
    serving = ServerTls(Files(tls.cert_file, tls.key_file, tls.client_ca))
    assert not serving.renew()
    pair.cert.write_text("half a file")
    assert not serving.renew()  # the old one stays in use
    authority.pair("renewed", server=True, into=pair)
    assert serving.renew()
    assert not serving.renew()
    client = authority.pair("system:kube-scheduler")

    async def shown(context: ssl.SSLContext) -> dict[str, Any]:
        server = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0, ssl=context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_tls(authority, client))
            found: dict[str, Any] = writer.get_extra_info("peercert")
            writer.close()
            return found

    assert "renewed" in str(asyncio.run(shown(serving.context))["subject"])


def test_a_certificate_that_is_none_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.crt").write_text("nothing")
    with pytest.raises(InvalidInput, match=r"a\.crt"):
        ServerTls(Files(str(tmp_path / "a.crt"), str(tmp_path / "a.key")))


@pytest.mark.parametrize("sent", [b"", b"POST /extender/filter HT", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"])
def test_headers_that_do_not_end_are_cut(sent: bytes) -> None:
    async def test(_: Service, urls: list[str]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(urls[0].rpartition(":")[2]))
        writer.write(sent)
        with pytest.raises(ConnectionResetError):
            if await reader.read() == b"":
                raise ConnectionResetError
        writer.close()

    run(test, limits=ConnectionLimits(headers_s=0.2))


def test_a_body_that_does_not_come_is_refused_and_others_are_answered_meanwhile() -> None:
    async def test(_: Service, urls: list[str]) -> None:
        port = int(urls[0].rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /extender/filter HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert await status(urls[0] + "/extender/bind", method="POST", json=BIND) == 200
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        writer.close()

    run(test, limits=ConnectionLimits(body_s=0.3))


def test_idle_sockets_are_capped_and_schedulers_are_still_answered() -> None:
    async def test(_: Service, urls: list[str]) -> None:
        port = int(urls[0].rpartition(":")[2])
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
        closed = 0
        while closed < 50:
            done = [reader.at_eof() or reader.exception() is not None for reader, _ in idle]
            closed = sum(done)
            await asyncio.sleep(0.05)
        assert closed == 50
        assert await status(urls[0] + "/extender/bind", method="POST", json=BIND) == 200
        for _, writer in idle:
            writer.close()

    run(test, limits=ConnectionLimits(most_waiting=10))


def test_a_plan_that_is_too_large_is_refused() -> None:
    async def test(_: Service, urls: list[str]) -> None:
        body = io.BytesIO(b"x" * (16 * 1024 * 1024 + 1))
        assert await status(urls[0] + "/v1/plan", method="POST", data=body) == 413

    run(test)


ADMIN, TEAM = Viewer("admin"), Viewer("team", pods=False, all_pods=False, nodes=False)
KEEPER = Keeper({"admin": ADMIN, "team": TEAM})


def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_tokens_decide_who_sees_what() -> None:
    async def test(_: Service, urls: list[str]) -> None:
        paths = ("/v1/gangs", "/v1/gangs?namespace=team", "/v1/topology", "/metrics", "/version")
        seen = {
            user: [await status(urls[0] + path, headers=headers(user) if user else {}) for path in paths]
            for user in ("", "nobody", "team", "admin")
        }
        assert seen == {
            "": [401] * 5,
            "nobody": [401] * 5,
            "team": [403, 200, 403, 403, 200],
            "admin": [200] * 5,
        }
        assert await status(urls[0] + "/extender/bind", method="POST", json=BIND) == 200
        assert await status(urls[0] + "/readyz") == 200

    run(test, keeper=KEEPER)


def test_a_refusal_names_nothing_that_its_reader_may_not_list() -> None:
    async def test(service: Service, urls: list[str]) -> None:
        for one in members("secret", 3, namespace="rival"):
            service.observe(PodSeen(replace(one, node=f"n{int(one.key.name[-1]) + 1}")))
        for one in members("wide", 8, namespace="team", required="gang=leaf"):
            service.observe(PodSeen(one))
        service.wake()
        url = urls[0] + "/v1/gangs/team/wide"
        found: dict[str, Any] = {}
        async with aiohttp.ClientSession() as session:
            while found.get("state") not in ("blocked", "impossible"):
                async with session.get(url, headers=headers("admin")) as reply:
                    found = await reply.json()
            async with session.get(url, headers=headers("team")) as reply:
                told = await reply.json()
            async with session.get(urls[0] + "/v1/gangs?namespace=team", headers=headers("team")) as reply:
                listed = await reply.json()
        reason = told["decision"]["reason"]
        assert reason["message"] == "2 domains at leaf level are short by at least 4 of 8 pods"
        assert reason["code"] == found["decision"]["reason"]["code"]
        assert found["decision"]["reason"]["blocking"] or found["decision"]["reason"]["fixes"]
        for text in (json.dumps(told), json.dumps(listed)):
            assert "rival" not in text and '"n1"' not in text

    run(test, keeper=KEEPER)


def test_grpc_asks_for_the_same_tokens_over_tls(authority: Authority) -> None:
    pair = authority.pair("lockstep", server=True)

    async def inside() -> None:
        service = Service(Config())
        service.connect(FakeCluster())
        service.observe(NodesSeen(two_leaves()))
        files = Files(str(pair.cert), str(pair.key))
        credentials = grpc.ssl_channel_credentials(authority.file.read_bytes())
        async with (
            listening_rpc(service, "127.0.0.1:0", doorkeeper=KEEPER, tls=files) as address,
            grpc.aio.secure_channel(address, credentials) as channel,
        ):
            stub = LockstepStub(channel)
            codes = []
            for token in ("", "team", "admin"):
                metadata = (("authorization", f"Bearer {token}"),) if token else ()
                try:
                    await stub.ListGangs(pb.ListGangsRequest(), metadata=metadata)
                    codes.append("OK")
                except grpc.aio.AioRpcError as error:
                    codes.append(error.code().name)
            assert codes == ["UNAUTHENTICATED", "PERMISSION_DENIED", "OK"]

    asyncio.run(inside())
