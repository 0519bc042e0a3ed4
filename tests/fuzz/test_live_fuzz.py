"""A whole live connection on spoiled conversations, with every backend."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from fuzz.campaign import SECONDS, campaign
from fuzz.conversations import chunks, conversations, cuts
from hypothesis import strategies as st
from peer import CLOSE, PONG, TEXT, Peer, close_frame

from flask_threaded_sockets import WebSocket

OFFER = (("Sec-WebSocket-Extensions", "permessage-deflate"),)

# First bytes of what an echo server sends: no fragments, RSV1 on messages only.
SENT = {0x81, 0x82, 0xC1, 0xC2, CLOSE, PONG}
# RFC 6455 section 7.4: failures of ours, or any that a peer may send, as its echo.
CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


def echo(ws: WebSocket) -> None:
    for message in ws:
        ws.send(message)


def converse(peer: Peer, pieces: list[bytes]) -> None:
    """Send it all, then an end, as a client does that fails."""
    # The server may have had enough before.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for piece in pieces:
            peer.send(piece)
        peer.half_close()


def check_answer(peer: Peer) -> None:
    frames = peer.frames_to_end(answer=False)
    assert {sent.first for sent in frames} <= SENT, frames
    closes = [sent.payload for sent in frames if sent.first == CLOSE]
    assert len(closes) <= 1
    for close in closes:
        assert frames[-1].first == CLOSE
        assert not close or int.from_bytes(close[:2], "big") in CODES
        close[2:].decode()


@pytest.mark.timeout(SECONDS + 180)
def test_server_answers_any_conversation_with_frames_then_an_end(serve: Any) -> None:
    live = serve(echo, SOCKETS_COMPRESSION=True, SOCKETS_MAX_MESSAGE_SIZE=70_000)

    def check(data: bytes, where: list[int], compressed: bool, early: bool) -> None:
        pieces = chunks(data, where)
        first = pieces.pop(0) if early and pieces else b""
        with live.open("/", OFFER if compressed else (), early=first) as peer:
            converse(peer, pieces)
            check_answer(peer)

    campaign(check, data=conversations, where=cuts, compressed=st.booleans(), early=st.booleans())
    with live.open("/") as peer:
        peer.text("still there")
        assert peer.frame() == (TEXT, b"still there")
        peer.send(close_frame())
        assert peer.frames_to_end() == [(CLOSE, b"\x03\xe8")]
