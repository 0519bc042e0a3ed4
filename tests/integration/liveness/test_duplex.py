"""Both directions of one TLS connection at full speed, the server in its own process.

``SOAK_SECONDS`` makes it longer than a few seconds; ``tox -e soak`` takes a minute.
"""

from __future__ import annotations

import itertools
import json
import os
import time

import pytest
from integration.liveness.hosted import served
from integration.liveness.served import Pace, message_of
from live import in_thread
from peer import BINARY, PING, PONG, TEXT, bulk
from wire import frame

SECONDS = float(os.environ.get("SOAK_SECONDS", "3"))
STALL = 1.0  # seconds without progress that are too many


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize("server", ["own", "werkzeug"])
def test_pusher_and_reader_flood_one_tls_connection(backend, server, tmp_path, certificate):
    pace = Pace()
    with served(server, tmp_path, certificate, SOCKETS_PING_INTERVAL=0.5) as it:
        peer = it.open("/duplex")
        until = time.monotonic() + SECONDS

        def spam():
            with pace.measuring("send"):
                for number in itertools.count():
                    if time.monotonic() > until:
                        peer.text("enough")
                        return number
                    ping = frame(PING, b"%d" % number) if number % 10 == 0 else b""
                    peer.send(bulk(BINARY, message_of(number)), ping)
                    pace.step("send")
            return None

        spamming = in_thread(spam)
        pushed = pongs = 0
        with pace.measuring("receive"):
            while True:
                first, payload = peer.frame()
                if first == BINARY:
                    assert payload == message_of(pushed)
                    pushed += 1
                elif first == PONG:
                    pongs += 1
                elif first == PING:
                    pass  # everything else proves us alive
                else:
                    break
                pace.step("receive")
        pace.stop()
        assert first == TEXT, (first, payload)
        theirs, ours = json.loads(payload), pace.result()
        sent = spamming.result()
        it.process.check_alive()
        peer.close()
        output = it.process.output
    assert theirs["counts"] == {"send": pushed, "receive": sent}
    assert pongs == (sent + 9) // 10
    print(f"MEASURED {backend} on {server}: {sent} in, {pushed} out, {theirs['pauses']}, {ours}")
    # A pause that the whole machine made is nobody's stall.
    for side in (theirs, ours):
        pauses = side["pauses"]
        machine = pauses.pop("machine")
        assert max(pauses.values()) < STALL + machine, side
    assert "Traceback" not in output
    assert "Error" not in output
