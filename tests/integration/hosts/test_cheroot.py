"""What only Cheroot does: its writer keeps what could not be written."""

from __future__ import annotations

from integration.hosts.servers import Hosted, on
from peer import CLOSE, TEXT, Frame, close_frame
from wire import wire

on_cheroot = on(lambda server: "cheroot" in server.needs)


@on_cheroot
def test_nothing_is_left_that_would_be_written_to_a_closed_socket(server: Hosted) -> None:
    # Python 3.13 logs a traceback when such a writer is collected.
    for _ in range(5):
        peer = server.open("/echo")
        peer.text("x")
        assert peer.frame() == Frame(TEXT, b"x")
        peer.send(close_frame(1000))
        assert peer.frames_to_end() == [Frame(CLOSE, wire("03 e8"))]
        server.open("/echo").reset()
    assert server.get("/unwritten") == "0"
