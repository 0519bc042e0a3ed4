"""``Sockets.connections`` and ``Sockets.broadcast``."""

from __future__ import annotations

import statistics
import threading
import time
import tracemalloc

import flask
import pytest
from live import Live, Pair, eventually, in_thread
from peer import BINARY, CLOSE, DEADLINE, TEXT, close_frame

from flask_threaded_sockets import Sockets, WebSocketError


class Room:
    """An app whose handlers wait until the test is over."""

    def __init__(self, **options):
        self.pair = Pair()
        self.app = flask.Flask("room")
        self.sockets = Sockets(self.app, **options)
        self.sockets.route("/")(self.pair.handler)
        self.sockets.route("/echo")(self.echo)

    def echo(self, ws):
        for message in ws:
            ws.send(message)


@pytest.fixture
def room(backend):
    room = Room()
    yield room
    room.pair.release()


@pytest.fixture
def live(serve, room):
    return serve(app=room.app)


def join(live, room, count, **options):
    """Open so many; give both ends of each."""
    found = []
    for _ in range(count):
        peer = live.open("/", **options)
        found.append((room.pair.take(), peer))
    return found


# connections


def test_connections_are_the_open_ones_in_order(live, room):
    assert room.sockets.connections == []
    members = join(live, room, 3)
    snapshot = room.sockets.connections
    assert snapshot == [ws for ws, _ in members]
    echo = live.open("/echo")
    assert snapshot == [ws for ws, _ in members]  # a snapshot does not change
    eventually(lambda: len(room.sockets.connections) == 4)
    echo.send(close_frame())
    echo.frames_to_end()
    eventually(lambda: room.sockets.connections == snapshot)


def test_connections_of_the_context_are_its_apps(serve, backend):
    pair, sockets = Pair(), Sockets()
    sockets.route("/")(pair.handler)
    apps = [flask.Flask(name) for name in ("one", "two")]
    lives = []
    for app in apps:
        sockets.init_app(app)
        lives.append(serve(app=app))
    peers = [live.open("/") for live in lives]
    first, second = sorted((pair.take(), pair.take()), key=lambda ws: ws.environ["SERVER_PORT"])
    if lives[0].port > lives[1].port:
        first, second = second, first
    with apps[0].app_context():
        assert sockets.connections == [first]
        assert sockets.broadcast("one").delivered == (first,)
    with apps[1].app_context():
        assert sockets.connections == [second]
    assert set(sockets.connections) == {first, second}
    assert peers[0].frame().payload == b"one"
    sockets.broadcast("all")
    assert [peer.frame().payload for peer in peers] == [b"all", b"all"]
    pair.release()


# broadcast


@pytest.mark.parametrize(
    ("message", "first", "payload"),
    [
        ("Grüße", TEXT, "Grüße".encode()),
        ("", TEXT, b""),
        (b"\x00\xff", BINARY, b"\x00\xff"),
        (bytearray(b"ab"), BINARY, b"ab"),
        (memoryview(b"cd" * 50_000), BINARY, b"cd" * 50_000),
    ],
    ids=["text", "empty", "bytes", "bytearray", "large memoryview"],
)
def test_all_get_the_message(live, room, message, first, payload):
    members = join(live, room, 3)
    result = in_thread(lambda: room.sockets.broadcast(message, timeout=DEADLINE))
    assert [peer.frame() for _, peer in members] == [(first, payload)] * 3
    result = result.result()
    assert set(result.delivered) == {ws for ws, _ in members}
    assert result.failed == {}


def test_to_is_a_selection_or_a_function(live, room):
    members = join(live, room, 3)
    sockets = room.sockets
    one, two, three = (ws for ws, _ in members)
    assert sockets.broadcast("a", to=[two, two]).delivered == (two,)
    assert set(sockets.broadcast("b", to=lambda ws: ws is not two).delivered) == {one, three}
    assert sockets.broadcast("c", to=[]).delivered == ()
    sockets.broadcast("end")
    received = []
    for _, peer in members:
        got = [peer.frame().payload]
        while got[-1] != b"end":
            got.append(peer.frame().payload)
        received.append(got)
    assert received == [[b"b", b"end"], [b"a", b"end"], [b"b", b"end"]]


def test_text_is_encoded_once(live, room):
    class Counted(str):
        times = 0

        def encode(self, *arguments):
            self.times += 1
            return super().encode(*arguments)

    members = join(live, room, 5)
    message = Counted("once")
    room.sockets.broadcast(message)
    assert [peer.frame().payload for _, peer in members] == [b"once"] * 5
    assert message.times == 1


@pytest.mark.parametrize("message", [None, 7, {"a": 1}, ["a"]])
def test_what_is_no_message_is_a_type_error(room, message):
    with pytest.raises(TypeError):
        room.sockets.broadcast(message)


def test_closed_one_is_reported(live, room):
    (gone, peer), (here, other) = join(live, room, 2)
    peer.send(close_frame())
    eventually(lambda: gone.closed)
    result = room.sockets.broadcast("news", to=[gone, here])
    assert result.delivered == (here,)
    assert list(result.failed) == [gone]
    assert isinstance(result.failed[gone], WebSocketError)
    assert other.frame().payload == b"news"


def test_broadcasts_are_counted(live, room):
    [(ws, peer)] = join(live, room, 1)
    room.sockets.broadcast("12345")
    assert peer.frame().payload == b"12345"
    assert (ws.messages_sent, ws.bytes_sent) == (1, 5)


def test_broadcasts_of_several_threads_at_once_reach_everybody(live, room):
    members = join(live, room, 10)

    def speak(name):
        return [
            room.sockets.broadcast(f"{name} {number}", timeout=DEADLINE).failed
            for number in range(25)
        ]

    speakers = [in_thread(speak, name) for name in "abcd"]
    for _, peer in members:
        heard = [peer.frame().payload.decode().split() for _ in range(100)]
        for name in "abcd":  # in the order in which it was said
            assert [int(n) for who, n in heard if who == name] == list(range(25))
    for speaker in speakers:
        assert speaker.result() == [{}] * 25


def test_client_that_is_streamed_to_all_the_time_gets_it_in_between(serve, backend):
    done = threading.Event()
    sockets = Sockets(app := flask.Flask("stream"))

    @sockets.route("/")
    def stream(ws):
        while not done.is_set():
            ws.send(bytes(1_000_000))

    peer = serve(app=app).open("/", receive_buffer=65536)

    def watch():
        """Read slowly, so that the connection is hardly ever idle; give the texts."""
        texts = []
        while True:
            frame = peer.frame()
            threading.Event().wait(0.02)  # this is what makes it slow
            if frame.first == TEXT:
                texts.append(frame.payload)
            elif frame.first == CLOSE:
                peer.send(close_frame())
                return texts

    watching = in_thread(watch)
    eventually(lambda: sockets.connections)
    for number in range(20):
        result = sockets.broadcast(str(number), timeout=DEADLINE)
        assert result.failed == {}
        assert len(result.delivered) == 1
    done.set()
    assert watching.result() == [str(number).encode() for number in range(20)]


FLOOD = bytes(16_000_000)  # more than all buffers between a handler and a peer hold


def join_stalled(live, room):
    """Open one whose peer does not read; give both ends and the thread that sends to it."""
    [(ws, peer)] = join(live, room, 1, receive_buffer=4096)

    def send():
        with pytest.raises(WebSocketError):
            ws.send(FLOOD)

    blocked = in_thread(send)
    peer.read(1)  # of the frame: the send has begun
    return ws, peer, blocked


@pytest.mark.parametrize("secure", [False, True], ids=["", "tls"])
def test_forty_nine_have_it_while_the_fiftieth_is_still_waited_for(
    serve, room, certificate, secure
):
    live = serve(app=room.app, certificate=certificate if secure else None)
    stalled, lazy, blocked = join_stalled(live, room)
    others = join(live, room, 49)
    call = in_thread(lambda: room.sockets.broadcast("news", timeout=10 * DEADLINE))
    assert [peer.frame().payload for _, peer in others] == [b"news"] * 49
    assert call.running
    lazy.reset()
    result = call.result()
    assert set(result.delivered) == {ws for ws, _ in others}
    assert list(result.failed) == [stalled]
    assert isinstance(result.failed[stalled], WebSocketError)
    blocked.result()


def test_one_that_makes_no_room_in_time_is_reported(live, room):
    stalled, lazy, blocked = join_stalled(live, room)
    [(other, peer)] = join(live, room, 1)
    for _ in range(2):
        result = room.sockets.broadcast("news", to=[other, stalled], timeout=0.1)
        assert list(result.failed) == [stalled]
        assert isinstance(result.failed[stalled], TimeoutError)
        assert result.delivered == (other,)
        assert peer.frame().payload == b"news"
    lazy.reset()
    blocked.result()


def test_message_that_leaves_after_the_timeout_is_counted(live, room):
    [(ws, peer)] = join(live, room, 1, receive_buffer=4096)
    sending = in_thread(ws.send, FLOOD)
    peer.read(1)
    result = room.sockets.broadcast("late", timeout=1)
    assert isinstance(result.failed[ws], TimeoutError)
    peer.read(9 + len(FLOOD))  # the rest of its frame
    sending.result()
    assert peer.frame() == (TEXT, b"late")
    eventually(lambda: ws.messages_sent == 2)
    assert ws.bytes_sent == len(FLOOD) + 4


def test_one_stalled_of_fifty_delays_the_others_by_less_than_100_ms(live, room):
    stalled, lazy, blocked = join_stalled(live, room)
    others = join(live, room, 49)
    everybody = [ws for ws, _ in others]
    calls = []

    def delay(targets):
        """Give the seconds until the last of the 49 has it."""
        began = time.monotonic()
        calls.append(in_thread(lambda: room.sockets.broadcast("news", to=targets, timeout=5)))
        assert [peer.frame().payload for _, peer in others] == [b"news"] * 49
        return time.monotonic() - began

    without, with_it = [], []
    for number in range(10):
        # Wherever it stands among the others.
        place = number * 49 // 9
        without.append(delay(everybody))
        with_it.append(delay([*everybody[:place], stalled, *everybody[place:]]))
    # The machine's own hesitations are on both sides, and a median leaves most of them out.
    assert statistics.median(with_it) - statistics.median(without) < 0.1
    lazy.reset()
    blocked.result()
    for number, call in enumerate(calls):
        result = call.result()
        assert set(result.delivered) == set(everybody)
        assert list(result.failed) == [stalled] * (number % 2)


def test_clients_that_do_not_read_keep_one_frame_between_them():
    # The built-in backend's: neither masked nor compressed, it is the same for everybody.
    room = Room(backend="builtin")
    live = Live(room.app)
    message = "x" * 16_000
    try:
        members = [join_stalled(live, room) for _ in range(10)]
        tracemalloc.start()
        result = room.sockets.broadcast(message, timeout=0)
        kept = tracemalloc.get_traced_memory()[0]
        assert list(result.failed) == [ws for ws, _, _ in members]
        assert len(message) < kept < 3 * len(message)
    finally:
        tracemalloc.stop()
        room.pair.release()
        live.stop()
    for _, _, blocked in members:
        blocked.result()


def test_clients_come_and_go_in_four_threads_meanwhile(serve, backend):
    room = Room()
    live = serve(app=room.app)
    [(stays, peer)] = join(live, room, 1)
    done = threading.Event()

    def come_and_go():
        count = 0
        while not done.is_set():
            with live.open("/echo") as visitor:
                if count % 2:
                    visitor.reset()
                count += 1
        return count

    threads = [in_thread(come_and_go) for _ in range(4)]
    try:
        for number in range(100):
            result = room.sockets.broadcast(str(number), timeout=DEADLINE)
            assert stays in result.delivered
            assert all(isinstance(e, WebSocketError) for e in result.failed.values())
            assert stays in room.sockets.connections
            assert peer.frame().payload == str(number).encode()
    finally:
        done.set()
        counts = [thread.result() for thread in threads]
    assert min(counts) > 0
    eventually(lambda: room.sockets.connections == [stays])
    room.pair.release()


def test_error_of_another_socket_names_it_and_its_own_stays_open(serve, logs, backend):
    """Symptom 26: A sends to B, which has closed."""
    gone = {}
    sockets = Sockets(app := flask.Flask("two"))

    def first(ws):
        gone["ws"] = ws
        ws.receive()

    def second(ws):
        other = gone["ws"]
        for _ in ws:
            try:
                other.send("news")
            except WebSocketError as error:
                ws.send(str(error.ws is other))

    sockets.route("/first")(first)
    sockets.route("/second")(second)
    live = serve(app=app)
    one = live.open("/first")
    eventually(lambda: gone)
    one.send(close_frame())
    one.frames_to_end()
    two = live.open("/second")
    for _ in range(2):
        two.text("go")
        assert two.frame() == (TEXT, b"True")
