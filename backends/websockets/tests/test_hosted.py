"""The hosted connection: what several threads write."""

from __future__ import annotations

import socket
import time

from flask_threaded_sockets_websockets.codec import ServerCodec
from flask_threaded_sockets_websockets.hosted import HostedConnection
from flask_threaded_sockets_websockets.inbox import Inbox

from flask_threaded_sockets.transport import open_transport


def test_stream_is_not_ended_before_what_another_thread_has_taken() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(10)
        transport = open_transport(ours)
        hosted = HostedConnection(
            transport, ServerCodec(), 5, Inbox(16), b"", lambda event: None, lambda: None
        )
        with hosted.write_lock:  # as the thread that is about to write the answer
            theirs.sendall(bytes.fromhex("88 82 37 fa 21 3d 34 12"))
            deadline = time.monotonic() + 10
            while not hosted._half_close and time.monotonic() < deadline:
                time.sleep(0.001)
            taken = hosted._take_outgoing()
            assert b"".join(taken) == bytes.fromhex("88 02 03 e8")
            hosted.flush()  # as the monitor, meanwhile
            assert transport.write(taken, 0) == []
        hosted.flush()
        assert theirs.recv(100) == bytes.fromhex("88 02 03 e8")
        assert theirs.recv(100) == b""
        transport.end()
