"""The hosted connection: what several threads write."""

from __future__ import annotations

import socket
import time

from flask_threaded_sockets_websockets.hosted import HostedCodec, HostedConnection
from flask_threaded_sockets_websockets.inbox import Inbox

from flask_threaded_sockets.events import Close, Event, Message
from flask_threaded_sockets.transport import open_transport


def test_stream_is_not_ended_before_what_another_thread_has_taken() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(10)
        transport = open_transport(ours)
        hosted = HostedConnection(
            transport, HostedCodec(), 5, Inbox(16), b"", lambda event: None, lambda: None
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


def test_what_is_told_before_an_answer_is_written_are_the_messages_only() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(10)
        transport = open_transport(ours)
        seen: list[Event] = []
        told_before: list[list[type[Event]]] = []

        class Watched(HostedConnection):
            def send_data(self) -> None:
                told_before.append([type(event) for event in seen])
                super().send_data()

        Watched(transport, HostedCodec(), 5, Inbox(16), b"", seen.append, lambda: None)
        theirs.sendall(bytes.fromhex("81 80 00 00 00 00  88 82 00 00 00 00 03 e8"))
        assert theirs.recv(100) == bytes.fromhex("88 02 03 e8")
        assert told_before[0] == [Message]
        assert theirs.recv(100) == b""
        deadline = time.monotonic() + 10
        while len(seen) < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert [type(event) for event in seen[:2]] == [Message, Close]
        transport.end()
