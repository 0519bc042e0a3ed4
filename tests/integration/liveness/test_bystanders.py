"""What one bad client costs the process, and the other clients: next to nothing."""

from __future__ import annotations

import contextlib
import functools
import tracemalloc
import zlib

import pytest
from live import eventually
from peer import CLOSE, bulk

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
