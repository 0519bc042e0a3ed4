"""Many threads on one connection, many connections at once."""

from __future__ import annotations

import itertools
import queue
import threading
import time
import zlib

import pytest
from live import Pair, eventually, in_thread
from peer import BINARY, CLOSE, DEADLINE, PING, PONG, TEXT, Frame, bulk, request
from wire import frame

from flask_threaded_sockets import WebSocketError
from flask_threaded_sockets.backend import Feature
from flask_threaded_sockets.clients import clients
from flask_threaded_sockets.plugins import load_backend
from flask_threaded_sockets.protocol_backend import ProtocolBackend

THREADS, MESSAGES = 8, 2000
SIZES = (0, 1, 125, 126, 200, 1000, 6000, 70_000)
RSV1 = 0x40


def pinging(peer, done):
    """Ping until told to stop; give the number of pings."""
    for number in itertools.count():
        if done.is_set():
            return number
        peer.send(frame(PING, b"%d" % number))
        time.sleep(0.001)  # the rate of the pings, no synchronisation
    return None


@pytest.mark.parametrize(
    "deflated", [False, pytest.param(True, marks=pytest.mark.needs(Feature.COMPRESSION))]
)
def test_messages_of_many_threads_do_not_mix_while_the_peer_pings(serve, deflated):
    held = Pair()
    live = serve(held.handler, SOCKETS_COMPRESSION=deflated, SOCKETS_PING_INTERVAL=0.05)
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate")] if deflated else []
    peer = live.open("/", offer)
    ws = held.take()

    def send_all(thread):
        for number in range(MESSAGES):
            size = SIZES[(thread + number) % len(SIZES)] if number % 10 == 0 else number % 300
            ws.send(f"{thread} {number} " + "x" * size, binary=number % 2 == 0)

    senders = [in_thread(send_all, thread) for thread in range(THREADS)]
    done = threading.Event()
    pings = in_thread(pinging, peer, done)
    inflater = zlib.decompressobj(wbits=-15)  # one for all: the order on the wire counts
    expected = [0] * THREADS
    pongs = 0
    while expected != [MESSAGES] * THREADS:
        first, payload = peer.frame()
        if first == PONG:
            assert int(payload) == pongs
            pongs += 1
        elif first == PING:
            peer.send(frame(PONG, payload))
        else:
            if deflated:
                payload = inflater.decompress(payload + b"\x00\x00\xff\xff")
            thread, number, padding = payload.decode().split(" ")
            thread, number = int(thread), int(number)
            assert number == expected[thread]
            expected[thread] += 1
            size = SIZES[(thread + number) % len(SIZES)] if number % 10 == 0 else number % 300
            assert padding == "x" * size
            assert first & ~RSV1 == (BINARY if number % 2 == 0 else TEXT)
            assert bool(first & RSV1) is deflated
    for sender in senders:
        sender.result()
    done.set()
    sent = pings.result()
    while pongs < sent:
        first, payload = peer.frame()
        if first == PONG:
            assert int(payload) == pongs
            pongs += 1
    held.release()


def test_pongs_do_not_get_into_large_messages(pair):
    ws, peer = pair()
    message = bytes(range(256)) * 4096
    rounds = 8

    def push():
        for _ in range(rounds):
            ws.send(message)

    done = threading.Event()
    pushing = [in_thread(push) for _ in range(2)]
    pings = in_thread(pinging, peer, done)
    whole = 0
    while whole < 2 * rounds:
        first, payload = peer.frame()
        if first == BINARY:
            assert payload == message
            whole += 1
        else:
            assert first == PONG
    done.set()
    for thread in [*pushing, pings]:
        thread.result()


def test_two_ends_that_flood_each_other_do_not_block_each_other(pair):
    ws, peer = pair(SOCKETS_MAX_QUEUE=2)
    message, count = bytes(64 * 1024), 300  # 19 MB each way: more than the kernel takes

    def push():
        for _ in range(count):
            ws.send(message)

    def drain():
        for _ in range(count):
            assert ws.receive() == message

    pushing, draining = in_thread(push), in_thread(drain)
    for _ in range(count):  # not reading all the while
        peer.send(bulk(BINARY, message), frame(PING))
    received = pongs = 0
    while received < count or pongs < count:
        first, payload = peer.frame()
        received += first == BINARY and payload == message
        pongs += first == PONG
    pushing.result()
    draining.result()


def test_clients_come_and_go_while_another_thread_broadcasts(serve):
    def handler(ws):
        for message in ws:
            ws.send(message)

    live = serve(handler)
    stop = threading.Event()
    outcomes: queue.SimpleQueue[int] = queue.SimpleQueue()

    def broadcast():
        while not stop.is_set():
            for address, client in live.server.clients.items():
                assert client.address == address
                try:
                    client.ws.send("news")
                except WebSocketError as error:
                    assert error.ws is client.ws

    def come_and_go(thread):
        for number in range(60):
            peer = live.open()
            peer.text("mine")
            words = set()
            while b"mine" not in words:
                words.add(peer.frame().payload)
            assert words <= {b"mine", b"news"}
            peer.reset() if (thread + number) % 2 else peer.close()
        outcomes.put(thread)

    broadcasting = in_thread(broadcast)
    for thread in [in_thread(come_and_go, thread) for thread in range(4)]:
        thread.result(within=60)
    stop.set()
    broadcasting.result()
    assert outcomes.qsize() == 4
    eventually(lambda: not clients.snapshot())


def test_an_idle_connection_costs_one_thread(serve, backend):
    held = Pair()

    def handler(ws):
        held.handler(ws) if ws.environ["QUERY_STRING"] else ws.receive()

    live = serve(handler)
    live.open("/?first").text("x")  # what starts with the first connection has started
    held.take()
    before = threading.active_count()
    count = 200
    peers = [live.open() for _ in range(count)]
    eventually(lambda: len(clients.snapshot()) == count + 1)
    of_its_own = not isinstance(load_backend(backend), ProtocolBackend)
    assert threading.active_count() - before <= count * (3 if of_its_own else 1)
    for peer in peers[::2]:
        peer.close()
    eventually(lambda: len(clients.snapshot()) == count / 2 + 1)
    for peer in peers[1::2]:
        peer.send(frame(TEXT, b"bye"))
        assert peer.frames_to_end() == [Frame(CLOSE, b"\x03\xe8")]
    held.release()


def test_all_idle_connections_are_closed_by_a_shutdown(serve):
    live = serve(lambda ws: ws.receive(), SOCKETS_CLOSE_TIMEOUT=60)
    peers = [live.open() for _ in range(100)]
    eventually(lambda: len(clients.snapshot()) == 100)
    began = time.monotonic()
    shutting = in_thread(live.server.shutdown)
    for peer in peers:
        assert peer.frames_to_end() == [Frame(CLOSE, b"\x03\xe9")]
    shutting.result()
    assert time.monotonic() - began < 10


def test_thousand_connections_one_after_the_other_leave_nothing(serve):
    def handler(ws):
        ws.send(ws.receive())

    live = serve(handler, SOCKETS_MAX_CONNECTIONS=50)
    for number in range(500):
        with live.connect() as peer:
            peer.send(request(), frame(TEXT, b"%d" % number))
            status = peer.head().status
            if status == 503:  # the last ones are still on their way out
                eventually(lambda: len(clients.snapshot()) < 10)
                continue
            assert peer.frame() == Frame(TEXT, b"%d" % number)
            if number % 2:
                peer.reset()
    eventually(lambda: not clients.snapshot(), within=DEADLINE)
