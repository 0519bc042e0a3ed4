"""A deflate bomb costs no more memory than the limit allows, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MIB = 1 << 20

# Feeds 256 MiB of zeros, compressed to a quarter of one, and prints the growth of the
# process's greatest memory in KiB, the events, and the bytes answered.
BOMB = """
import sys, zlib
from flask_threaded_sockets.backend import DeflateParameters
from flask_threaded_sockets_wsproto.protocol import WsprotoProtocol

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

deflater = zlib.compressobj(wbits=-15)
bomb = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(256))
bomb += deflater.flush(zlib.Z_SYNC_FLUSH)[:-4]
size, pieces = len(bomb), int(sys.argv[2])
frames = b""
for index in range(pieces):
    part = bomb[size * index // pieces : size * (index + 1) // pieces]
    first = (0x42 if index == 0 else 0) | (0x80 if index == pieces - 1 else 0)
    width = 0 if len(part) < 126 else 2 if len(part) < 65536 else 8
    length = {0: len(part), 2: 126, 8: 127}[width]
    extended = len(part).to_bytes(width, "big") if width else b""
    frames += bytes([first, 0x80 | length]) + extended + bytes(4) + part
protocol = WsprotoProtocol(DeflateParameters(), int(sys.argv[1]))
protocol.receive_data(bytes([0x82, 0x80, 0, 0, 0, 0]))
with open("/proc/self/clear_refs", "w") as refs:
    refs.write("5")  # forget the greatest memory so far: it was that of making the bomb
before = peak()
protocol.receive_data(frames)
events = protocol.events()[1:]
print(peak() - before, len(events), events[0].code, events[0].clean)
print(b"".join(protocol.data_to_send())[:4].hex())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("limit", [64 * 1024, 4 * MIB, 16 * MIB])
@pytest.mark.parametrize("fragments", [1, 2000])
def test_bomb_of_256_mib_costs_the_limit_only(limit, fragments):
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(limit), str(fragments)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told, answer = done.stdout.splitlines()
    grown, *event = told.split()
    assert event == ["1", "1009", "False"]
    assert answer[:2] == "88"
    assert answer[4:] == (1009).to_bytes(2, "big").hex()
    # The message up to its limit, with a bytearray's room to grow, and a slice's output.
    assert int(grown) * 1024 < limit + limit // 4 + MIB
