"""The choice of a subprotocol and of permessage-deflate's parameters."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from websockets.headers import parse_extension
from websockets.protocol import OPEN
from websockets.uri import parse_uri
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request
from wsproto.extensions import PerMessageDeflate

from flask_threaded_sockets.backend import DeflateParameters
from flask_threaded_sockets.exceptions import ConfigurationError
from flask_threaded_sockets.handshake import response_head
from flask_threaded_sockets.negotiation import (
    DEFLATE_OFFER,
    negotiate_deflate,
    offered_subprotocols,
    parse_agreed_deflate,
    parse_extensions,
    select_subprotocol,
    validate_subprotocols,
)
from flask_threaded_sockets.refusals import BadHandshake, Refusal

TOKEN = st.from_regex(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", fullmatch=True)


def environ_of(header: str | None) -> dict[str, Any]:
    return {} if header is None else {"HTTP_SEC_WEBSOCKET_PROTOCOL": header}


# --- subprotocols

# id, header, offered; RFC 6455 section 11.3.4.
OFFERED = [
    ("none", None, []),
    ("one", "chat", ["chat"]),
    ("several", "chat, superchat", ["chat", "superchat"]),
    ("several header lines", "chat,superchat", ["chat", "superchat"]),
    ("repeated: the first is kept", "b, a, b", ["b", "a"]),
    ("case tells them apart", "Chat, chat", ["Chat", "chat"]),
    ("empty", "", []),
    ("empty elements", ", a,,\tb ,", ["a", "b"]),
    ("browser token auth", "base64url.bearer.abc-_, v1", ["base64url.bearer.abc-_", "v1"]),
]


@pytest.mark.parametrize(
    ("header", "expected"), [row[1:] for row in OFFERED], ids=[row[0] for row in OFFERED]
)
def test_offered_subprotocols_are_read_in_order(header: str | None, expected: list[str]) -> None:
    assert offered_subprotocols(environ_of(header)) == expected


@pytest.mark.parametrize("header", ["a b", "a/b", "a;b", '"a"', "a, b c", "a\n", "ü", "a=", "(a)"])
def test_subprotocol_that_is_no_token_is_refused(header: str) -> None:
    with pytest.raises(Refusal) as caught:
        select_subprotocol(environ_of(header), ["a"])
    assert caught.value.code == 400


@given(st.text())
def test_any_subprotocol_header_is_read_or_refused(header: str) -> None:
    try:
        offered = offered_subprotocols(environ_of(header))
    except BadHandshake:
        return
    assert len(set(offered)) == len(offered)
    assert offered_subprotocols(environ_of(",".join(offered))) == offered


# id, header, supported, chosen; RFC 6455 section 4.2.2 item 5.5.
CHOICES: list[tuple[str, str | None, list[str], str | None]] = [
    ("the client's order decides", "b, a", ["a", "b"], "b"),
    ("second of the client's", "x, a", ["a", "b"], "a"),
    ("over several lines", "x,y,b", ["b"], "b"),
    ("whole names only", "superchat", ["chat"], None),
    ("nor the other way round", "chat", ["superchat"], None),
    ("with their case", "Chat", ["chat"], None),
    ("nothing in common", "x, y", ["a"], None),
    ("nothing offered", None, ["a"], None),
    ("nothing supported", "a", [], None),
]


@pytest.mark.parametrize(
    ("header", "supported", "expected"),
    [row[1:] for row in CHOICES],
    ids=[row[0] for row in CHOICES],
)
def test_first_offered_and_supported_subprotocol_is_chosen(
    header: str | None, supported: list[str], expected: str | None
) -> None:
    environ = environ_of(header)
    assert select_subprotocol(environ, supported) == expected
    assert select_subprotocol(environ, tuple(supported)) == expected
    if expected is None:
        with pytest.raises(Refusal, match="no subprotocol") as caught:
            select_subprotocol(environ, supported, required=True)
        assert caught.value.code == 400
    else:
        assert select_subprotocol(environ, supported, required=True) == expected


def test_callable_chooses_among_those_offered() -> None:
    environ = environ_of("v1, v2, v2")
    seen = []

    def choose(offered: list[str], environ: dict[str, Any]) -> str | None:
        seen.append((list(offered), environ))
        offered.clear()
        return "v2"

    assert select_subprotocol(environ, choose) == "v2"
    assert seen == [(["v1", "v2"], environ)]


def test_callable_that_chooses_none_is_like_nothing_in_common() -> None:
    environ = environ_of("v1")
    assert select_subprotocol(environ, lambda offered, environ: None) is None
    with pytest.raises(Refusal):
        select_subprotocol(environ, lambda offered, environ: None, required=True)


def test_callable_is_not_asked_when_nothing_is_offered() -> None:
    assert select_subprotocol({}, lambda offered, environ: offered[0]) is None


@pytest.mark.parametrize("chosen", ["v3", "v", ""])
def test_callable_that_chooses_what_was_not_offered_is_an_error(chosen: str) -> None:
    def choose(offered: list[str], environ: dict[str, Any]) -> str | None:
        return chosen

    message = f"choose chose subprotocol '{chosen}', the client offered v1, v2"
    with pytest.raises(LookupError, match=message):
        select_subprotocol(environ_of("v1, v2"), choose)


@pytest.mark.parametrize("value", [[], ["chat"], ("v1.bearer", "b"), lambda offered, environ: None])
def test_usable_subprotocols_are_accepted_at_set_up(value: object) -> None:
    validate_subprotocols(value)


@pytest.mark.parametrize("value", ["chat", b"chat", None, 1, {"a"}, ["a b"], ["a,b"], [""], [None]])
def test_impossible_subprotocols_raise_at_set_up(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^subprotocols "):
        validate_subprotocols(value)


# --- the extensions header

# id, header, extensions; RFC 6455 section 9.1.
HEADERS: list[tuple[str, str, list[tuple[str, list[tuple[str, str | None]]]]]] = [
    ("empty", "", []),
    ("empty elements", " ,\t, ", []),
    ("the RFC's first", "foo", [("foo", [])]),
    ("the RFC's second", "bar; baz=2", [("bar", [("baz", "2")])]),
    (
        "the RFC's third",
        "deflate-stream, mux; max-channels=4; flow-control, deflate-stream",
        [
            ("deflate-stream", []),
            ("mux", [("max-channels", "4"), ("flow-control", None)]),
            ("deflate-stream", []),
        ],
    ),
    ("no spaces", "a;b=1;c,d", [("a", [("b", "1"), ("c", None)]), ("d", [])]),
    ("spaces all over", "\ta ; b = 1\t; c , d ", [("a", [("b", "1"), ("c", None)]), ("d", [])]),
    ("quoted", 'a; b="10"; c', [("a", [("b", "10"), ("c", None)])]),
    ("quoted pair", r'a; b="1\0"', [("a", [("b", "10")])]),
    ("repeated parameter", "a; b; b=1", [("a", [("b", None), ("b", "1")])]),
]


@pytest.mark.parametrize(
    ("header", "expected"), [row[1:] for row in HEADERS], ids=[row[0] for row in HEADERS]
)
def test_extensions_are_parsed(header: str, expected: list[Any]) -> None:
    assert parse_extensions(header) == expected


MALFORMED = [
    "a b",
    "a;",
    "a; ;b",
    "a; =1",
    "a; b=",
    "a; b=1 2",
    "a; b==1",
    "a=1",
    ";a",
    "a; b, c;",
    '"a"',
    'a; b="1',
    'a; b=1"',
    'a; b=""',
    'a; b="1 2"',
    'a; b="1,2"',
    'a; b="1\\"',
    'a; b="1"2',
    "a; b='1' c",
    "a/b",
    "a; b=(1)",
    "a\n",
    "a; b=ü",
    "a\r\n b",
    "permessage-deflate; client_max_window_bits; ",
]


@pytest.mark.parametrize("header", MALFORMED)
def test_malformed_extensions_are_refused(header: str) -> None:
    with pytest.raises(ValueError, match=r"extension|neither"):
        parse_extensions(header)
    with pytest.raises(Refusal) as caught:
        negotiate_deflate(header)
    assert caught.value.code == 400


@given(st.text() | st.text(st.sampled_from('a1;=, \t"\\')))
def test_any_header_is_parsed_or_an_error(header: str) -> None:
    try:
        parsed = parse_extensions(header)
    except ValueError:
        return
    assert parse_extensions(join_extensions(parsed)) == parsed


def join_extensions(extensions: list[Any]) -> str:
    return ",".join(
        "; ".join(
            [name, *(key if value is None else f'{key}="{value}"' for key, value in parameters)]
        )
        for name, parameters in extensions
    )


@given(
    st.lists(
        st.tuples(TOKEN, st.lists(st.tuples(TOKEN, st.none() | TOKEN), max_size=4)), max_size=4
    )
)
def test_well_formed_extensions_round_trip(extensions: list[Any]) -> None:
    header = join_extensions(extensions)
    assert parse_extensions(header) == extensions
    if extensions:
        assert parse_extension(header) == extensions  # websockets reads the same


def test_parser_is_linear_in_the_headers_length() -> None:
    # A quadratic one would take minutes, and run into the time limit of a test.
    for part in ("a" * 9, " ", ";a", "a; b=", '"', "\\", '\\"', ","):
        for header in (part * 100_000, "a; b=" + part * 100_000, 'a; b="' + part * 100_000):
            try:
                parse_extensions(header)
            except ValueError:
                pass


# --- permessage-deflate, the server's side

SERVER_RESET = "server_no_context_takeover"
CLIENT_RESET = "client_no_context_takeover"
SERVER_BITS = "server_max_window_bits"
CLIENT_BITS = "client_max_window_bits"


def agreed(
    server_bits: int = 12, client_bits: int = 15, *, server: bool = False, client: bool = False
) -> DeflateParameters:
    return DeflateParameters(server, client, server_bits, client_bits)


# id, offer's parameters, agreed, response's parameters, section of RFC 7692.
ACCEPTED = [
    ("plain", "", agreed(), f"{SERVER_BITS}=12", "7.1.2.1"),
    (
        "what browsers send",
        f"; {CLIENT_BITS}",
        agreed(12, 12),
        f"{SERVER_BITS}=12; {CLIENT_BITS}=12",
        "7.1.2.2",
    ),
    (
        "client's window of 15",
        f"; {CLIENT_BITS}=15",
        agreed(12, 12),
        f"{SERVER_BITS}=12; {CLIENT_BITS}=12",
        "7.1.2.2",
    ),
    (
        "client's window of 9",
        f"; {CLIENT_BITS}=9",
        agreed(12, 9),
        f"{SERVER_BITS}=12; {CLIENT_BITS}=9",
        "7.1.2.2",
    ),
    ("client's window of 8", f"; {CLIENT_BITS}=8", agreed(12, 15), f"{SERVER_BITS}=12", "7.1.2.2"),
    ("our window of 15", f"; {SERVER_BITS}=15", agreed(), f"{SERVER_BITS}=12", "7.1.2.1"),
    ("our window of 12", f"; {SERVER_BITS}=12", agreed(), f"{SERVER_BITS}=12", "7.1.2.1"),
    ("our window of 9", f"; {SERVER_BITS}=9", agreed(9), f"{SERVER_BITS}=9", "7.1.2.1"),
    ("quoted", f'; {SERVER_BITS}="10"', agreed(10), f"{SERVER_BITS}=10", "5.2"),
    (
        "we reset",
        f"; {SERVER_RESET}",
        agreed(server=True),
        f"{SERVER_RESET}; {SERVER_BITS}=12",
        "7.1.1.1",
    ),
    (
        "client resets",
        f"; {CLIENT_RESET}",
        agreed(client=True),
        f"{CLIENT_RESET}; {SERVER_BITS}=12",
        "7.1.1.2",
    ),
    (
        "all",
        f"; {CLIENT_BITS}=11; {SERVER_BITS}=10; {CLIENT_RESET}; {SERVER_RESET}",
        agreed(10, 11, server=True, client=True),
        f"{SERVER_RESET}; {CLIENT_RESET}; {SERVER_BITS}=10; {CLIENT_BITS}=11",
        "7.1",
    ),
]


@pytest.mark.parametrize(
    ("offer", "parameters", "response", "rfc"),
    [row[1:] for row in ACCEPTED],
    ids=[row[0] for row in ACCEPTED],
)
def test_deflate_offer_is_honoured(
    offer: str, parameters: DeflateParameters, response: str, rfc: str
) -> None:
    answer = negotiate_deflate(f"permessage-deflate{offer}")
    assert answer == (parameters, f"permessage-deflate; {response}")


# id, offer's parameters, section of RFC 7692.
DECLINED = [
    ("unknown parameter", "; x", "7"),
    ("unknown parameter with value", "; x=1", "7"),
    ("unknown parameter with a window's value", "; x=10", "7"),
    ("parameter in another case", "; Server_No_Context_Takeover", "7"),
    ("repeated flag", f"; {SERVER_RESET}; {SERVER_RESET}", "7"),
    ("repeated window", f"; {SERVER_BITS}=10; {SERVER_BITS}=10", "7"),
    ("repeated window without value", f"; {CLIENT_BITS}; {CLIENT_BITS}=10", "7"),
    ("flag with value", f"; {SERVER_RESET}=1", "7.1.1.1"),
    ("client's flag with value", f"; {CLIENT_RESET}=true", "7.1.1.2"),
    ("window without value", f"; {SERVER_BITS}", "7.1.2.1"),
    ("window of 8: zlib cannot", f"; {SERVER_BITS}=8", "7.1.2.1"),
    ("window of 7", f"; {SERVER_BITS}=7", "7.1.2.1"),
    ("window of 16", f"; {SERVER_BITS}=16", "7.1.2.1"),
    ("window of 0", f"; {SERVER_BITS}=0", "7.1.2.1"),
    ("leading zero", f"; {SERVER_BITS}=09", "7.1.2.1"),
    ("sign", f"; {SERVER_BITS}=+9", "7.1.2.1"),
    ("letters", f"; {SERVER_BITS}=a", "7.1.2.1"),
    ("client's window of 7", f"; {CLIENT_BITS}=7", "7.1.2.2"),
    ("client's window of 16", f"; {CLIENT_BITS}=16", "7.1.2.2"),
    ("client's leading zero", f"; {CLIENT_BITS}=010", "7.1.2.2"),
]


@pytest.mark.parametrize(
    ("offer", "rfc"), [row[1:] for row in DECLINED], ids=[row[0] for row in DECLINED]
)
def test_deflate_offer_is_declined(offer: str, rfc: str) -> None:
    declined = f"permessage-deflate{offer}"
    assert negotiate_deflate(declined) is None
    # RFC 7692 section 5.1: a client offers a fallback behind its preference.
    answer = negotiate_deflate(f"{declined}, permessage-deflate; {CLIENT_RESET}")
    assert answer is not None
    assert answer[0] == agreed(client=True)


@pytest.mark.parametrize(
    "header", [None, "", ",", "x-webkit-deflate-frame", "permessage-bzip2; client_max_window_bits"]
)
def test_without_an_offer_nothing_is_compressed(header: str | None) -> None:
    assert negotiate_deflate(header) is None


def test_first_acceptable_offer_among_other_extensions_is_taken() -> None:
    header = f"mux; x=1, permessage-deflate; {SERVER_BITS}=10,permessage-deflate"
    answer = negotiate_deflate(header)
    assert answer is not None
    assert answer[0] == agreed(10)


@given(st.text() | st.text(st.sampled_from('a1;=, \t"\\')).map("permessage-deflate{}".format))
def test_any_header_is_answered_or_refused(header: str) -> None:
    try:
        negotiate_deflate(header)
    except BadHandshake:
        with pytest.raises(ValueError):
            parse_extensions(header)


BITS = st.integers(8, 15)
OFFERS = st.fixed_dictionaries(
    {},
    optional={
        SERVER_RESET: st.none(),
        CLIENT_RESET: st.none(),
        SERVER_BITS: BITS,
        CLIENT_BITS: st.none() | BITS,
    },
)


@given(OFFERS, st.randoms(use_true_random=False))
def test_answer_keeps_to_the_offer(offer: dict[str, int | None], random: Any) -> None:
    parameters = [key if value is None else f"{key}={value}" for key, value in offer.items()]
    random.shuffle(parameters)
    answer = negotiate_deflate("; ".join(["permessage-deflate", *parameters]))
    if offer.get(SERVER_BITS) == 8:
        assert answer is None
        return
    assert answer is not None
    agreed_parameters, response = answer
    # RFC 7692 section 7.1: what the offer demands is granted, what only a client that
    # knows a parameter can bear is asked of no other.
    assert agreed_parameters.server_no_context_takeover is (SERVER_RESET in offer)
    assert agreed_parameters.server_max_window_bits <= (offer.get(SERVER_BITS) or 15)
    assert 9 <= agreed_parameters.server_max_window_bits <= 12
    assert agreed_parameters.client_max_window_bits >= 9
    if CLIENT_BITS not in offer:
        assert CLIENT_BITS not in response
        assert agreed_parameters.client_max_window_bits == 15
    assert parse_agreed_deflate(response) == agreed_parameters


# --- permessage-deflate, the client's side

# id, response, agreed.
ANSWERS = [
    ("no header", None, None),
    ("empty header", "", None),
    ("plain", "permessage-deflate", agreed(15, 15)),
    ("windows", f"permessage-deflate; {SERVER_BITS}=8; {CLIENT_BITS}=9", agreed(8, 9)),
    ("we reset", f"permessage-deflate; {CLIENT_RESET}", agreed(15, 15, client=True)),
    ("server resets", f"permessage-deflate; {SERVER_RESET}", agreed(15, 15, server=True)),
    ("quoted", f'permessage-deflate; {CLIENT_BITS}="11"', agreed(15, 11)),
]


@pytest.mark.parametrize(
    ("header", "expected"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
def test_client_reads_the_servers_answer(
    header: str | None, expected: DeflateParameters | None
) -> None:
    assert parse_agreed_deflate(header) == expected


NONSENSE = [
    "permessage-deflate, permessage-deflate",
    "mux",
    "permessage-deflate, mux",
    "permessage-deflate; x",
    f"permessage-deflate; {CLIENT_BITS}",
    f"permessage-deflate; {SERVER_BITS}",
    f"permessage-deflate; {CLIENT_BITS}=8",
    f"permessage-deflate; {CLIENT_BITS}=16",
    f"permessage-deflate; {SERVER_BITS}=07",
    f"permessage-deflate; {SERVER_RESET}=1",
    f"permessage-deflate; {SERVER_RESET}; {SERVER_RESET}",
    "permessage-deflate;",
]


@pytest.mark.parametrize("header", NONSENSE)
def test_client_fails_on_an_answer_that_does_not_fit(header: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_agreed_deflate(header)


@given(st.text())
def test_any_answer_is_read_or_an_error(header: str) -> None:
    try:
        parse_agreed_deflate(header)
    except ValueError:
        pass


# --- cross-checks with other implementations

KEY = "dGhlIHNhbXBsZSBub25jZQ=="

WEBSOCKETS_OFFERS = [
    ClientPerMessageDeflateFactory(server_reset, client_reset, server_bits, client_bits)
    for server_reset in (False, True)
    for client_reset in (False, True)
    for server_bits in (None, 9, 12, 15)
    for client_bits in (None, True, 9, 12, 15)
]


@pytest.mark.parametrize("factory", WEBSOCKETS_OFFERS, ids=lambda f: repr(f.get_request_params()))
def test_websockets_client_agrees_with_our_answer(factory: ClientPerMessageDeflateFactory) -> None:
    client = ClientProtocol(parse_uri("ws://server.example/"), extensions=[factory])
    request = client.connect()
    client.send_request(request)
    answer = negotiate_deflate(request.headers["Sec-WebSocket-Extensions"])
    assert answer is not None
    parameters, header = answer
    key = request.headers["Sec-WebSocket-Key"]
    client.receive_data(response_head(key, deflate_header=header))
    assert client.handshake_exc is None
    assert client.state is OPEN
    (extension,) = client.extensions
    assert parameters == DeflateParameters(
        extension.remote_no_context_takeover,
        extension.local_no_context_takeover,
        extension.remote_max_window_bits,
        extension.local_max_window_bits,
    )


WSPROTO_OFFERS = [
    (server_reset, client_reset, server_bits, client_bits)
    for server_reset in (False, True)
    for client_reset in (False, True)
    for server_bits in (None, 9, 15)
    for client_bits in (None, 9, 15)
]


@pytest.mark.parametrize("offer", WSPROTO_OFFERS, ids=repr)
def test_wsproto_client_agrees_with_our_answer(offer: tuple[bool, bool, int, int]) -> None:
    server_reset, client_reset, server_bits, client_bits = offer
    extension = PerMessageDeflate(client_reset, client_bits, server_reset, server_bits)
    client = WSConnection(ConnectionType.CLIENT)
    request = client.send(Request(host="server.example", target="/", extensions=[extension]))
    lines = dict(line.split(": ", 1) for line in request.decode().split("\r\n")[1:-2])
    lines = {name.lower(): value for name, value in lines.items()}
    answer = negotiate_deflate(lines["sec-websocket-extensions"])
    assert answer is not None
    parameters, header = answer
    client.receive_data(response_head(lines["sec-websocket-key"], deflate_header=header))
    (event,) = client.events()
    assert isinstance(event, AcceptConnection)
    assert extension.enabled()
    assert parameters == DeflateParameters(
        extension.server_no_context_takeover,
        extension.client_no_context_takeover,
        extension.server_max_window_bits,
        extension.client_max_window_bits,
    )


@pytest.mark.parametrize(
    "factory",
    [
        ServerPerMessageDeflateFactory(),
        ServerPerMessageDeflateFactory(True, True, 9, 9),
        ServerPerMessageDeflateFactory(server_max_window_bits=12, client_max_window_bits=12),
    ],
    ids=["defaults", "smallest", "its own choice"],
)
def test_websockets_server_accepts_our_offer(factory: ServerPerMessageDeflateFactory) -> None:
    ((_, offer),) = parse_extension(DEFLATE_OFFER)
    response, extension = factory.process_request_params(offer, [])
    header = "; ".join(
        ["permessage-deflate", *(k if v is None else f"{k}={v}" for k, v in response)]
    )
    assert parse_agreed_deflate(header) == DeflateParameters(
        extension.local_no_context_takeover,
        extension.remote_no_context_takeover,
        extension.local_max_window_bits,
        extension.remote_max_window_bits,
    )


@pytest.mark.parametrize("bits", range(9, 16))
def test_every_window_we_agree_to_is_one_that_zlib_can_write(bits: int) -> None:
    answer = negotiate_deflate(f"permessage-deflate; {SERVER_BITS}={bits}")
    assert answer is not None
    window = answer[0].server_max_window_bits
    compressor = zlib.compressobj(wbits=-window)
    data = compressor.compress(b"measurement " * 999) + compressor.flush()
    assert zlib.decompress(data, wbits=-window) == b"measurement " * 999


def test_window_of_8_is_one_that_zlib_cannot_write() -> None:
    # If this fails zlib has changed, and an offer of 8 need no longer be declined.
    with pytest.raises(ValueError, match="Invalid initialization option"):
        zlib.compressobj(wbits=-8)
