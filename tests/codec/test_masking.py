"""RFC 6455 section 5.3, with the C routine of websockets and without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire import KEY, mask

from flask_threaded_sockets.codec.masking import PURE, Masking, fastest, native, rotate_key

NATIVE = native()
assert NATIVE is not None, "the tests need websockets with its C extension"

both = pytest.mark.parametrize("masking", [PURE, NATIVE], ids=["pure", "native"])

# Around the change of method at 384 bytes, the lanes' ends, and the native step.
LENGTHS = [*range(10), 125, 383, 384, 385, 386, 387, 388, 4096, 65535, 65536, 65537, 131075]


def sample(length: int) -> bytes:
    return (bytes(range(256)) * (length // 256 + 1))[:length]


@both
@pytest.mark.parametrize("length", LENGTHS)
def test_a_payload_is_masked_as_the_rfc_says(masking: Masking, length: int) -> None:
    data = sample(length)
    expected = mask(data)
    assert masking.apply(data, KEY) == expected
    assert masking.apply(bytearray(data), KEY) == expected
    assert masking.apply(memoryview(data), KEY) == expected


@both
@pytest.mark.parametrize("length", LENGTHS)
def test_a_part_of_a_buffer_is_masked_in_place(masking: Masking, length: int) -> None:
    buffer = bytearray(b"before" + sample(length) + b"behind")
    masking.apply_in_place(buffer, 6, 6 + length, KEY)
    assert buffer == b"before" + mask(sample(length)) + b"behind"


@both
def test_an_exported_buffer_is_masked_in_place(masking: Masking) -> None:
    buffer = bytearray(sample(1000))
    with memoryview(buffer):
        masking.apply_in_place(buffer, 0, 1000, KEY)
    assert buffer == mask(sample(1000))


@both
@settings(deadline=None)
@given(data=st.binary(max_size=2000), key=st.binary(min_size=4, max_size=4), cut=st.integers(0))
def test_a_payload_masked_in_two_parts_is_masked_the_same(
    masking: Masking, data: bytes, key: bytes, cut: int
) -> None:
    cut %= len(data) + 1
    first = masking.apply(data[:cut], key)
    second = masking.apply(data[cut:], rotate_key(key, cut))
    assert first + second == mask(data, key)


@pytest.mark.parametrize(
    ("offset", "key"), [(0, b"abcd"), (1, b"bcda"), (2, b"cdab"), (3, b"dabc"), (4, b"abcd")]
)
def test_a_key_is_rotated_by_the_offset(offset: int, key: bytes) -> None:
    assert rotate_key(b"abcd", offset) == key


def test_the_native_masking_is_preferred_where_there_is_one() -> None:
    from websockets.speedups import apply_mask

    assert fastest().apply is apply_mask
    assert fastest() is fastest()


def run_python(code: str, path: Path | None = None) -> str:
    prefix = f"import sys; sys.path.insert(0, {str(path)!r})\n" if path else "import sys\n"
    done = subprocess.run(
        [sys.executable, "-c", prefix + code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_importing_the_package_imports_no_websockets() -> None:
    code = "import flask_threaded_sockets.codec; print('websockets' in sys.modules)"
    assert run_python(code) == "False"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("absent", "raise ModuleNotFoundError('no websockets')"),
        ("broken", "raise RuntimeError('built for another Python')"),
        ("other", "def unmask(data, key): return data"),
        ("wrong", "def apply_mask(data, mask): return data"),
        ("stricter", "def apply_mask(data, mask, offset): return data"),
    ],
)
def test_pure_python_masks_where_the_routine_of_websockets_is(
    tmp_path: Path, name: str, source: str
) -> None:
    package = tmp_path / "websockets"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "speedups.py").write_text(source)
    code = (
        "from flask_threaded_sockets.codec import BuiltinProtocol, masking\n"
        "protocol = BuiltinProtocol()\n"
        "protocol.receive_data(bytes.fromhex('818537fa213d7f9f4d5158'))\n"
        "print(masking.native(), masking.fastest() is masking.PURE, protocol.events()[0].data)"
    )
    assert run_python(code, tmp_path) == "None True Hello"
