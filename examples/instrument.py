"""A blocking instrument: the handler writes readings while a second thread reads commands.

python examples/instrument.py [PORT]

ws://127.0.0.1:8000/meter      text "1" to "50": readings per second; "stop" ends it
"""

import sys
import threading
import time

from flask import Flask

from flask_threaded_sockets import Sockets, ThreadedWebsocketServer

app = Flask(__name__)
sockets = Sockets(app)


class Meter:
    """Stand in for a driver whose calls block, as those of most instruments do."""

    rate = 5.0  # readings per second

    def measure(self):
        """Wait for the next reading; in volts."""
        time.sleep(1 / self.rate)
        return 5 + (time.monotonic() % 1) / 100


@sockets.route("/meter")
def stream(ws):
    """Push readings until the client goes: ``closed`` tells, also without a receive."""
    meter = Meter()
    threading.Thread(target=take_commands, args=(ws, meter), daemon=True).start()
    while not ws.closed:
        ws.send(f"{meter.measure():.4f}")


def take_commands(ws, meter):
    """Read in a second thread; ends by itself when the connection does."""
    for command in ws:
        if command == "stop":
            ws.close(1000, "stopped")
        elif command.isdigit() and 1 <= int(command) <= 50:
            meter.rate = int(command)
        else:
            ws.close(1008, "1 to 50, or stop")


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    ThreadedWebsocketServer("127.0.0.1", port, app).serve_forever()
