"""What one bad client costs the process, and the other clients: next to nothing."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
import tracemalloc
import zlib

import flask
import pytest
from live import eventually, in_thread
from peer import CLOSE, TEXT, Frame, bulk

from flask_threaded_sockets import Sockets
from flask_threaded_sockets.backend import Feature

KIB, MIB = 1 << 10, 1 << 20


def test_client_that_does_not_read_delays_a_broadcast_to_nobody(serve):
    app = flask.Flask("broadcast")
    app.config.update(SOCKETS_SEND_TIMEOUT=60, SOCKETS_PING_INTERVAL=None)
    sockets = Sockets(app)
    ready = threading.Semaphore(0)
    stopped = threading.Event()

    @sockets.route("/")
    def handler(ws):
        ready.release()
        stopped.wait(60)

    live = serve(app=app)
    stalled = live.open(receive_buffer=4096)
    peers = [live.open() for _ in range(49)]
    for _ in range(50):
        assert ready.acquire(timeout=20)
    (culprit,) = (
        client.ws for address, client in live.server.clients.items() if address == stalled.address
    )
    # More than the kernel takes, so that nothing more goes in.
    blocked = in_thread(culprit.send, bytes(16 * MIB))
    stalled.read(1)
    began = time.monotonic()
    telling = in_thread(lambda: sockets.broadcast("news", timeout=5))
    for peer in peers:
        assert peer.frame() == Frame(TEXT, b"news")
    took = time.monotonic() - began
    assert telling.running  # it still waits for the one
    result = telling.result()
    assert len(result.delivered) == 49
    assert list(result.failed) == [culprit]
    assert isinstance(result.failed[culprit], TimeoutError)
    assert took < 0.1 + 1  # 100 ms where the machine has nothing else to do
    stalled.reset()
    with contextlib.suppress(OSError):
        blocked.result()
    stopped.set()


@functools.cache
def bomb(size: int) -> bytes:
    """Deflate so many zeros, a thousandth of them (RFC 7692 section 7.2.1)."""
    deflater = zlib.compressobj(9, wbits=-15)
    piece = bytes(MIB)
    parts = [deflater.compress(piece) for _ in range(size // MIB)]
    parts.append(deflater.flush(zlib.Z_SYNC_FLUSH)[:-4])
    return b"".join(parts)


@pytest.mark.needs(Feature.COMPRESSION)
@pytest.mark.parametrize("fragments", [1, 8], ids=["one frame", "fragments"])
def test_decompression_bomb_costs_no_more_than_the_limit(serve, fragments):
    limit = 64 * KIB
    live = serve(lambda ws: ws.receive(), SOCKETS_COMPRESSION=True, SOCKETS_MAX_MESSAGE_SIZE=limit)
    data = bomb(512 * MIB)
    size = len(data) // fragments + 1
    frames = []
    for number, start in enumerate(range(0, len(data), size)):
        final = 0x80 if number == fragments - 1 else 0
        first = final | (0x42 if number == 0 else 0)  # RSV1 and BINARY, then CONTINUATION
        frames.append(bulk(first, data[start : start + size]))
    peer = live.open("/", [("Sec-WebSocket-Extensions", "permessage-deflate")])
    tracemalloc.start()
    try:
        for each in frames:
            with contextlib.suppress(ConnectionError):
                peer.sock.sendall(each)  # not send(), which would make a copy
        (only,) = peer.frames_to_end()
        grown = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (only.first, only.payload[:2]) == (CLOSE, b"\x03\xf1")
    # What else this process does is counted, too: the client's reader asks for 1 MiB at a
    # time, and what an earlier test sent may still be on its way. A fragment holds 64 MiB.
    assert grown < limit + 16 * MIB
    eventually(lambda: not live.server.clients)
