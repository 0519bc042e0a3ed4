"""What one bad client costs the process, and the other clients: next to nothing."""

from __future__ import annotations

import contextlib
import functools
import os
import zlib

import pytest
from integration.liveness.hosted import served
from integration.processes import wait_for
from live import Pair, eventually, in_thread
from peer import CLOSE, PING, TEXT, Frame, Peer, bulk, request

from flask_threaded_sockets import WebSocketError
from flask_threaded_sockets.backend import Feature

KIB, MIB = 1 << 10, 1 << 20


@functools.cache
def bomb(size: int) -> bytes:
    """Deflate so many zeros, a thousandth of them (RFC 7692 section 7.2.1)."""
    deflater = zlib.compressobj(9, wbits=-15)
    piece = bytes(MIB)
    parts = [deflater.compress(piece) for _ in range(size // MIB)]
    parts.append(deflater.flush(zlib.Z_SYNC_FLUSH)[:-4])
    return b"".join(parts)


@pytest.mark.needs(Feature.COMPRESSION)
@pytest.mark.parametrize("limit", [64 * KIB, 4 * MIB])
@pytest.mark.parametrize("fragments", [1, 8], ids=["one frame", "fragments"])
def test_decompression_bomb_costs_no_more_than_the_limit(backend, tmp_path, fragments, limit):
    data = bomb(512 * MIB)
    size = len(data) // fragments + 1
    peaks: list[str] = []
    config = {"SOCKETS_COMPRESSION": True, "SOCKETS_MAX_MESSAGE_SIZE": limit}
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate")]
    # In a process of its own, which does nothing else.
    with served("own", tmp_path, **config) as it, Peer(it.port) as peer:
        peer.send(request("/traced", offer))
        assert "permessage-deflate" in peer.head().headers["sec-websocket-extensions"]
        assert peer.frame() == Frame(TEXT, b"go")
        for start in range(0, len(data), size):
            final = 0x80 if start + size >= len(data) else 0
            first = final | (0x42 if start == 0 else 0)  # RSV1 and BINARY, then CONTINUATION
            with contextlib.suppress(ConnectionError):
                peer.send(bulk(first, data[start : start + size]))
        (only,) = peer.frames_to_end()
        assert (only.first, only.payload[:2]) == (CLOSE, b"\x03\xf1")
        wait_for(lambda: peaks.append(it.get("/peak")) or peaks[-1], "peak")
    grown = int(peaks[-1])
    print(f"MEASURED bomb {backend} {fragments} fragments, limit {limit}: {grown}")
    # A library keeps two copies of a compressed frame, half a megabyte each.
    assert grown < limit + (MIB if backend == "builtin" else 2 * MIB)


@pytest.mark.needs(Feature.COMPRESSION)
def test_end_of_one_is_noticed_while_something_large_is_compressed_for_another(serve):
    held = Pair()
    live = serve(held.handler, SOCKETS_COMPRESSION=True, SOCKETS_PING_INTERVAL=0.2)
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate")]
    busy, ws = live.open("/", offer), held.take()
    leaving, left = live.open(), held.take()
    for peer in (busy, leaving):
        assert peer.frame().first == PING  # the monitor has an eye on them
    sending = in_thread(ws.send, os.urandom(64 * MIB))  # takes seconds
    busy.text("read this")  # in the handler's place
    leaving.reset()
    eventually(lambda: left.closed)
    busy.sock.setblocking(False)
    with pytest.raises(BlockingIOError):  # nothing large has gone out yet
        while True:
            assert len(busy.sock.recv(KIB)) < KIB  # a ping
    busy.close()
    with pytest.raises(WebSocketError):
        sending.result(100)  # a busy machine compresses for a minute
    held.release()
