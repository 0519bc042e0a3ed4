"""The smallest complete backend: RFC 6455 by hand, without compression.

A ``Protocol`` knows bytes and events; sockets, threads, locks, timeouts and keepalive are
the core's. backends/README.md goes through it method by method.
"""

from flask_threaded_sockets import hookimpl
from flask_threaded_sockets.backend import Feature, Protocol
from flask_threaded_sockets.codes import is_receivable_close_code
from flask_threaded_sockets.events import Close, Message, Ping, Pong
from flask_threaded_sockets.exceptions import LocalProtocolError
from flask_threaded_sockets.protocol_backend import ProtocolBackend

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Violation(Exception):
    def __init__(self, code, reason):
        super().__init__(reason)
        self.code = code


class MinimalProtocol(Protocol):
    def __init__(self, limit):
        self._limit = limit
        self._input = bytearray()
        self._events = []
        self._output = []
        self._opcode = None  # of the message being received
        self._message = bytearray()
        self._sending = False  # a fragmented message
        self._sent_close = self._over = False

    # From the peer

    def receive_data(self, data):
        if self._over:
            return
        self._input += data
        try:
            while not self._over and self._take_frame():
                pass
        except UnicodeDecodeError:
            self._fail(1007, "invalid utf-8")
        except Violation as error:
            self._fail(error.code, str(error))

    def receive_eof(self):
        if not self._over:
            self._end(Close(1006, clean=False))

    def _take_frame(self):
        """Take the first frame of the input; false where there is not all of it."""
        if len(self._input) < 2:
            return False
        first, second = self._input[:2]
        fin, opcode, length, start = first & 0x80, first & 0x0F, second & 0x7F, 2
        control = opcode >= CLOSE
        if first & 0x70 or not second & 0x80 or opcode not in (0, 1, 2, 8, 9, 10):
            raise Violation(1002, "bad frame header")
        if control and (not fin or length > 125):
            raise Violation(1002, "bad control frame")
        if not control and (opcode == CONTINUATION) != (self._opcode is not None):
            raise Violation(1002, "fragments are out of order")
        if length > 125:
            start += 2 if length == 126 else 8
            if len(self._input) < start:
                return False
            least = 126 if length == 126 else 65536
            length = int.from_bytes(self._input[2:start])
            if length < least or length >= 1 << 63:
                raise Violation(1002, "bad frame length")
        # The limit holds for the announced length: nothing is kept that is too large.
        if not control and self._limit is not None and len(self._message) + length > self._limit:
            raise Violation(1009, f"message exceeds limit of {self._limit} bytes")
        end = start + 4 + length
        if len(self._input) < end:
            return False
        payload = unmask(self._input[start : start + 4], self._input[start + 4 : end])
        del self._input[:end]
        self._take_payload(opcode, payload, fin)
        return True

    def _take_payload(self, opcode, payload, fin):
        if opcode == PING:
            self._events.append(Ping(payload))
            if not self._sent_close:
                self._put(PONG, payload)
        elif opcode == PONG:
            self._events.append(Pong(payload))
        elif opcode == CLOSE:
            self._take_close(payload)
        else:
            if opcode != CONTINUATION:
                self._opcode = opcode
            self._message += payload
            if fin:
                text, data = self._opcode == TEXT, self._message
                self._opcode, self._message = None, bytearray()
                self._events.append(Message(data.decode() if text else data))

    def _take_close(self, payload):
        code = int.from_bytes(payload[:2]) if payload else 1005
        if payload and (len(payload) < 2 or not is_receivable_close_code(code)):
            raise Violation(1002, "bad close frame")
        reason = payload[2:].decode()
        self.send_close(None if code == 1005 else code)
        self._end(Close(code, reason))

    def _fail(self, code, reason):
        self.send_close(code, reason)
        self._end(Close(code, reason, clean=False))

    def _end(self, event):
        self._over = True
        self._events.append(event)
        self._input = self._message = bytearray()

    def events(self):
        taken, self._events = self._events, []
        return taken

    # To the peer

    def send_message(self, opcode, payload, *, fin=True, compress=True):  # noqa: ARG002
        self._check_open()
        if (opcode == CONTINUATION) != self._sending:
            raise LocalProtocolError("frame does not fit the message being sent")
        self._sending = not fin
        self._put(opcode, payload, fin)

    def send_ping(self, payload):
        self._check_open()
        self._put(PING, payload)

    def send_pong(self, payload):
        self._check_open()
        self._put(PONG, payload)

    def send_close(self, code, reason=""):
        if not self._sent_close:
            self._put(CLOSE, b"" if code is None else code.to_bytes(2) + reason.encode())
            self._sent_close = True

    def _check_open(self):
        if self._sent_close or self._over:
            raise LocalProtocolError("connection is closing or closed")

    def _put(self, opcode, payload, fin=True):
        payload = bytes(payload)
        head, length = bytes([(0x80 if fin else 0) | opcode]), len(payload)
        if length < 126:
            head += bytes([length])
        elif length < 65536:
            head += b"\x7e" + length.to_bytes(2)
        else:
            head += b"\x7f" + length.to_bytes(8)
        self._output.append(head + payload)

    def data_to_send(self):
        taken, self._output = self._output, []
        return taken


def unmask(key, payload):
    keys = (bytes(key) * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(keys)).to_bytes(len(payload))


class MinimalBackend(ProtocolBackend):
    name = "minimal"
    # It does not compress, and it judges text when all of a message is there.
    features = frozenset(Feature) - {Feature.COMPRESSION, Feature.FAIL_FAST_UTF8}

    def protocol(self, upgrade, options):  # noqa: ARG002
        return MinimalProtocol(options.max_message_size)


@hookimpl
def websocket_backend():
    return MinimalBackend()
