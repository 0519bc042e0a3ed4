"""One app, unchanged, on every server: what is said, and what is on the wire at the end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest
from integration.hosts.servers import Hosted, everywhere, on
from integration.processes import wait_for
from live import in_thread
from peer import BINARY, CLOSE, PING, PONG, TEXT, Frame, bulk, close_frame
from websockets.asyncio.client import connect
from wire import frame, wire

where_early_bytes_can_be_had = on(lambda server: server.early)
where_several_are_served = on(lambda server: server.concurrent)


@pytest.fixture(autouse=True)
def quiet(server: Hosted):
    """Let the server log no trouble."""
    since = server.mark()
    expected = ["sync worker"]
    yield expected
    server.hang_up()
    left = [line for line in server.complaints(since) if not any(text in line for text in expected)]
    assert left == []


@everywhere
def test_client_gets_its_messages_back(server: Hosted) -> None:
    # Not the sync client: its two threads in one SSLSocket lose a request now and then.
    async def converse() -> int | None:
        async with connect(f"{server.url}/echo", ssl=server.tls, max_size=None) as client:
            for message in (
                "text",
                "grüße 🐍",
                b"\x00\xff",
                "",
                b"",
                b"m" * 1_000_000,
                "t" * 1_000_000,
            ):
                await client.send(message)
                assert await client.recv() == message
            await (await client.ping())
        return client.close_code

    assert asyncio.run(asyncio.wait_for(converse(), 60)) == 1000


@where_early_bytes_can_be_had
def test_frame_in_the_segment_of_the_handshake_is_delivered(server: Hosted) -> None:
    early = frame(TEXT, b"early") + frame(BINARY, b"bird")
    peer = server.open("/echo", early=early)
    assert [peer.frame(), peer.frame()] == [Frame(TEXT, b"early"), Frame(BINARY, b"bird")]
    peer.text("later")
    assert peer.frame() == Frame(TEXT, b"later")


@everywhere
def test_handler_that_only_sends_notices_the_peers_close(server: Hosted) -> None:
    peer = server.open("/push")
    assert peer.frame() == Frame(TEXT, b"0")
    peer.send(close_frame(1000))
    began = time.monotonic()
    assert peer.frames_to_end()[-1] == Frame(CLOSE, wire("03 e8"))
    assert time.monotonic() - began < 2


@where_several_are_served
@pytest.mark.parametrize("how", ["half_close", "reset"])
def test_idle_handler_notices_that_the_peer_has_gone(server: Hosted, how: str) -> None:
    wait_for(lambda: server.state()["clients"] == 0, "end of other connections")
    peer = server.open("/idle")
    # The monitor has seen to it once, and once more: it goes on doing so.
    for payload in (b"once", b"twice"):
        peer.send(frame(PING, payload))
        assert peer.frame() == Frame(PONG, payload)
    getattr(peer, how)()
    began = time.monotonic()
    wait_for(lambda: server.state()["clients"] == 0, "end of the handler")
    assert time.monotonic() - began < 2


ENDINGS = [
    ("/returns", wire("03 e8"), []),
    ("/closes", wire("0b b8") + b"bye", []),
    (
        "/raises",
        wire("03 f3") + b"internal error",
        ["Exception on /raises", "ValueError", "Traceback"],
    ),
    ("/aborts", wire("03 f0") + b"Forbidden", []),
]


@everywhere
@pytest.mark.parametrize(("path", "payload", "expected"), ENDINGS, ids=[row[0] for row in ENDINGS])
def test_after_the_close_there_is_the_end(
    server: Hosted, quiet: list[str], path: str, payload: bytes, expected: list[str]
) -> None:
    quiet += expected
    peer = server.open(f"{path}?ending")
    peer.text("go")
    assert peer.frames_to_end() == [Frame(CLOSE, payload)]
    check_access_log(server, f"{path}?ending")


@everywhere
def test_after_a_protocol_error_there_is_the_end(server: Hosted) -> None:
    peer = server.open("/echo?broken")
    peer.send(b"\xc1\x80\x00\x00\x00\x00")  # RSV1 without an extension
    (only,) = peer.frames_to_end()
    assert (only.first, only.payload[:2]) == (CLOSE, wire("03 ea"))
    check_access_log(server, "/echo?broken")


@everywhere
def test_after_the_peers_close_there_is_the_end(server: Hosted) -> None:
    peer = server.open("/echo?closed")
    peer.send(close_frame(3001, b"enough"))
    assert peer.frames_to_end() == [Frame(CLOSE, wire("0b b9"))]
    check_access_log(server, "/echo?closed")


def check_access_log(server: Hosted, path: str) -> None:
    """Look for the one line of a path that only this test of the server has asked for."""
    assert server.get("/") == "Hello"
    if server.server.access is not None:
        wait_for(lambda: server.access_lines(path, 0), "line in the access log", 5)
        assert len(server.access_lines(path, 0)) == 1


@everywhere
def test_flooding_client_does_not_keep_the_thread(server: Hosted) -> None:
    tasks = idle_tasks(server)
    # A busy machine gets some tries more; who keeps the thread would keep it each time.
    took = [flooded(server, tasks)]
    while took[-1] >= 1 and len(took) < 5:
        took.append(flooded(server, tasks))
    assert took[-1] < 1, took


def flooded(server: Hosted, tasks: int) -> float:
    """Flood a handler that closes; give the seconds until its thread is gone."""
    since = server.mark()
    peer = server.open("/closes")

    def flood() -> None:
        junk = bulk(BINARY, bytes(60_000)) * 4
        with contextlib.suppress(OSError):
            while True:
                peer.send(junk)

    began = time.monotonic()
    flooding = in_thread(flood)  # with the first message the handler closes
    try:
        wait_for(lambda: has_let_go(server, tasks, since), "end of the handler's thread", 10)
        return time.monotonic() - began
    finally:
        with contextlib.suppress(OSError):
            peer.sock.shutdown(socket.SHUT_RDWR)  # wakes who is sending
        flooding.result()
        peer.close()


def idle_tasks(server: Hosted) -> int:
    """Count the threads there are while nothing but this question is served."""
    with server.open("/returns") as peer:  # the monitor starts with the first connection
        peer.text("go")
        peer.frames_to_end()
    wait_for(lambda: server.state()["clients"] == 0, "end of other connections")
    return min(server.state()["tasks"] for _ in range(5))


def has_let_go(server: Hosted, tasks: int, since: int) -> bool:
    """Tell whether the server has its thread back."""
    state = server.state()
    if state["clients"]:
        return False
    if server.server.thread_each:
        return state["tasks"] <= tasks
    # A thread of a pool writes this line when it has done with a request.
    return server.server.access is None or bool(server.access_lines("/closes", since))


@where_several_are_served
def test_shutdown_closes_fifty_clients_and_the_server_goes_on(server: Hosted) -> None:
    paths = ("/echo", "/idle", "/push")
    peers = [server.open(paths[number % 3]) for number in range(50)]
    shutting = in_thread(server.get, "/shutdown")
    for peer in peers:
        assert peer.frames_to_end()[-1] == Frame(CLOSE, wire("03 f4") + b"maintenance")
    assert float(shutting.result()) < 3
    wait_for(lambda: server.state()["clients"] == 0, "end of the handlers")
    with server.open("/echo") as peer:
        peer.text("again")
        assert peer.frame() == Frame(TEXT, b"again")


@everywhere
def test_refusal_is_an_http_response_or_a_close(server: Hosted) -> None:
    for path, status in (("/refuses", 403), ("/nowhere", 404)):
        head, peer = server.ask(path)
        if server.server.refuses:
            assert head.status == status
        else:
            assert head.status == 101
            assert peer.frames_to_end() == [Frame(CLOSE, wire("03 f0"))]


@everywhere
def test_foreign_origin_is_refused(server: Hosted, quiet: list[str]) -> None:
    quiet += ["origin"]
    head, peer = server.ask("/echo", [("Origin", "https://evil.example")])
    if server.server.refuses:
        assert head.status == 403
    else:
        assert head.status == 101
        assert peer.frames_to_end() == [Frame(CLOSE, wire("03 f0"))]
