"""The asyncio client of ``websockets`` as a witness."""

from __future__ import annotations

import asyncio

import pytest
from live import HOSTS, eventually, in_thread
from peer import DEADLINE
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from flask_threaded_sockets.backend import Feature
from flask_threaded_sockets.clients import clients

pytestmark = pytest.mark.parametrize("host", HOSTS, indirect=True)


def echo(ws):
    for message in ws:
        ws.send(message)


def opened(live, **options):
    options.setdefault("compression", None)
    scheme = "ws" if live.tls is None else "wss"
    return connect(
        f"{scheme}://localhost:{live.port}/", ssl=live.tls, open_timeout=DEADLINE, **options
    )


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 2 * DEADLINE))


@pytest.mark.parametrize("secure", [False, True], ids=["", "tls"])
@pytest.mark.parametrize(
    "compression", [None, pytest.param("deflate", marks=pytest.mark.needs(Feature.COMPRESSION))]
)
def test_many_clients_at_once(serve, request, secure, compression):
    certificate = request.getfixturevalue("certificate") if secure else None
    live = serve(echo, certificate=certificate, SOCKETS_COMPRESSION=compression is not None)

    async def client(number):
        async with opened(live, compression=compression) as ws:
            for size in (0, 1, 200, 70_000):
                message = f"{number} " + "x" * size
                await ws.send(message)
                assert await ws.recv() == message
                await ws.send(message.encode())
                assert await ws.recv() == message.encode()
            await (await ws.ping())
        return ws.close_code

    async def all_of_them():
        return await asyncio.gather(*(client(number) for number in range(20)))

    assert run(all_of_them()) == [1000] * 20


def test_handler_streams_to_async_iteration(serve):
    def handler(ws):
        for number in range(500):
            ws.send(str(number))

    async def client():
        async with opened(serve(handler)) as ws:
            return [message async for message in ws]

    assert run(client()) == [str(number) for number in range(500)]


def test_shutdown_is_seen_as_going_away(serve, host):
    live = serve(echo)

    async def client():
        async with opened(live) as ws:
            await asyncio.to_thread(eventually, lambda: len(clients.snapshot()) == 1)
            if host == "own":
                shutting = in_thread(live.server.shutdown)
            else:
                shutting = in_thread(clients.snapshot()[0].ws.close, 1001)
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            await asyncio.to_thread(shutting.result)
            return caught.value.rcvd.code

    assert run(client()) == 1001


def test_client_that_is_cancelled_leaves_nothing(serve):
    live = serve(echo)

    async def client():
        async with opened(live) as ws:
            await ws.recv()

    async def cancelled():
        task = asyncio.create_task(client())
        await asyncio.to_thread(eventually, lambda: len(clients.snapshot()) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancelled())
    eventually(lambda: not clients.snapshot())
