"""What a wire log shows of the bytes of both sides."""

from __future__ import annotations

from flask_threaded_sockets_conformance.timeline import Timeline
from flask_threaded_sockets_conformance.trial import request_head
from flask_threaded_sockets_conformance.wire import text, wire


def lines_of(*entries: tuple[str, bytes | str]) -> list[str]:
    """Give the log of what one client and its server sent, without the times."""
    timeline = Timeline()
    for who, what in entries:
        timeline.add(who, 1, what)
    return [line[12:].strip() for line in timeline.lines()]


def test_request_is_text_and_what_stands_behind_it_a_frame() -> None:
    request = request_head("/echo", {"Host": "a"})
    lines = lines_of(*[("client", bytes([byte])) for byte in request + text("early")])
    assert lines[:2] == ["client    GET /echo HTTP/1.1", "Host: a"]
    assert lines[-1] == "81 85 | 37 fa 21 3d | 52 9b 53 51 4e   TEXT 'early'"
    assert len(lines) == request.count(b"\r\n")


def test_request_that_is_cut_is_text() -> None:
    assert lines_of(("client", b"GET /ec")) == ["client    GET /ec"]


def test_frames_are_frames_also_behind_a_response() -> None:
    lines = lines_of(
        ("server", "HTTP/1.1 101 Switching Protocols"),
        ("client", text("hi")),
        ("server", wire("81 02", "68 69")),
        ("client", b"GET / HTTP/1.1\r\n\r\n"),
    )
    assert lines == [
        "server    HTTP/1.1 101 Switching Protocols",
        "client    81 82 | 37 fa 21 3d | 5f 93   TEXT 'hi'",
        "server    81 02 | 68 69   TEXT 'hi'",
        "client    47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a 0d 0a   (incomplete)",
    ]
