"""The choice of a subprotocol and of permessage-deflate's parameters.

RFC 6455 sections 4.2.2, 9.1 and 11.3.4, RFC 7692 section 7.1. Functions of headers;
compression itself is the codec's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from .backend import DeflateParameters
from .exceptions import ConfigurationError
from .handshake import is_token, split_list
from .refusals import BadHandshake

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = [
    "DEFLATE_OFFER",
    "Subprotocols",
    "negotiate_deflate",
    "offered_subprotocols",
    "parse_agreed_deflate",
    "parse_extensions",
    "select_subprotocol",
    "validate_subprotocols",
]

SubprotocolChoice: TypeAlias = "Callable[[list[str], WSGIEnvironment], str | None]"
Subprotocols: TypeAlias = "Sequence[str] | SubprotocolChoice"

# What our client offers: all defaults, and the server may limit our window.
DEFLATE_OFFER: Final = "permessage-deflate; client_max_window_bits"

_DEFLATE: Final = "permessage-deflate"

# zlib's window takes 2 ** (bits + 2) bytes to compress and 2 ** bits to inflate: 20 KiB
# a connection at 12 bits, 160 KiB at 15. websockets has the same default.
_PREFERRED_BITS: Final = 12
# zlib cannot write a raw stream with a window of 8 bits (madler/zlib issue 171).
_ZLIB_MIN_BITS: Final = 9
_MAX_BITS: Final = 15

# RFC 7692 section 7.1.2: a decimal integer without leading zeroes from 8 to 15.
_WINDOW_BITS: Final = {str(bits): bits for bits in range(8, 16)}
_WINDOWS: Final = ("server_max_window_bits", "client_max_window_bits")
_FLAGS: Final = ("server_no_context_takeover", "client_no_context_takeover")

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105
_SEPARATORS: Final = re.compile(r"[ \t,]*")
_EXTENSION: Final = re.compile(rf"({_TOKEN})[ \t]*")
_PARAMETER: Final = re.compile(
    rf"[ \t]*({_TOKEN})[ \t]*"
    rf'(?:=[ \t]*(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")[ \t]*)?'
)

_Parameters: TypeAlias = "list[tuple[str, str | None]]"


def offered_subprotocols(environ: WSGIEnvironment) -> list[str]:
    """Give the subprotocols a client offers, in its order (RFC 6455 section 11.3.4).

    Header lines come joined by a comma. Section 4.1 has the client offer each one once;
    a repeated one is harmless and left out, as is an empty element.

    Raises:
        Refusal: an element is not a token; 400.
    """
    offered = split_list(environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", ""))
    if not all(map(is_token, offered)):
        raise BadHandshake("the Sec-WebSocket-Protocol header is malformed")
    return list(dict.fromkeys(offered))


def select_subprotocol(
    environ: WSGIEnvironment, supported: Subprotocols, *, required: bool = False
) -> str | None:
    """Choose a subprotocol; the client's order decides (RFC 6455 section 4.2.2, item 5.5).

    Args:
        environ: the request's.
        supported: names, in any order, which are compared as a whole and with their
            case; or a callable, given the offered ones and the environ, which returns
            one of them or ``None``, and is not asked when nothing is offered.
        required: whether to refuse a client without a subprotocol in common.

    Returns:
        The one to echo in the 101; ``None``: none, and the header is left out.

    Raises:
        Refusal: the header is malformed, or one is required and none was chosen; 400.
        LookupError: the callable returned one that was not offered, which section 4.1
            has the client fail the connection for.
    """
    offered = offered_subprotocols(environ)
    chosen: str | None
    if callable(supported):
        chosen = supported(list(offered), environ) if offered else None
        if chosen is not None and chosen not in offered:
            name = getattr(supported, "__qualname__", repr(supported))
            raise LookupError(
                f"{name} chose subprotocol {chosen!r}, the client offered {', '.join(offered)}"
            )
    else:
        chosen = next((name for name in offered if name in supported), None)
    if chosen is None and required:
        raise BadHandshake("the request offers no subprotocol that is supported here")
    return chosen


def validate_subprotocols(value: object) -> None:
    """Check what :func:`select_subprotocol` is to be given, at set-up.

    Raises:
        ConfigurationError: it is neither a list of tokens nor a callable. A single
            string is not, as membership in one would be a search for substrings.
    """
    if callable(value):
        return
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigurationError(
            f"subprotocols must be a list of names or a callable, not {value!r}"
        )
    for name in value:
        if not (isinstance(name, str) and is_token(name)):
            raise ConfigurationError(f"subprotocols has {name!r}, which is not a token")


def parse_extensions(header: str) -> list[tuple[str, _Parameters]]:
    """Parse a ``Sec-WebSocket-Extensions`` value (RFC 6455 section 9.1).

    Args:
        header: the value; several header lines joined by a comma.

    Returns:
        Names with their parameters, in order; a parameter's value is ``None`` where it
        has none, and unquoted.

    Raises:
        ValueError: the value is not of the section's grammar.
    """
    extensions: list[tuple[str, _Parameters]] = []
    position = _skip_separators(header, 0)
    while position < len(header):
        match = _EXTENSION.match(header, position)
        if match is None:
            raise ValueError(f"no extension name at character {position}")
        position = match.end()
        parameters: _Parameters = []
        while header.startswith(";", position):
            parameter, position = _parse_parameter(header, position + 1)
            parameters.append(parameter)
        if not header.startswith(",", position) and position < len(header):
            raise ValueError(f"neither ';' nor ',' at character {position}")
        extensions.append((match[1], parameters))
        position = _skip_separators(header, position)
    return extensions


def _skip_separators(header: str, position: int) -> int:
    # RFC 9110 section 5.6.1.2: a recipient MUST ignore empty list elements.
    match = _SEPARATORS.match(header, position)
    return match.end() if match else position


def _parse_parameter(header: str, position: int) -> tuple[tuple[str, str | None], int]:
    match = _PARAMETER.match(header, position)
    if match is None:
        raise ValueError(f"no extension parameter at character {position}")
    name, value, quoted = match.groups()
    if quoted is not None:
        value = re.sub(r"\\(.)", r"\1", quoted)
        # RFC 6455 section 9.1: the value after unescaping MUST conform to token.
        if not is_token(value):
            raise ValueError(f"value of extension parameter {name} is not a token")
    return (name, value), match.end()


def negotiate_deflate(header: str | None) -> tuple[DeflateParameters, str] | None:
    """Accept the first permessage-deflate offer that we can honour (RFC 7692 section 5.1).

    An offer is honoured as a whole or declined: an unknown or repeated parameter or a
    bad value declines it (section 7). Windows of 12 bits are asked for, to save memory.

    Args:
        header: the request's ``Sec-WebSocket-Extensions``, or ``None``.

    Returns:
        The agreed parameters and the response's ``Sec-WebSocket-Extensions``, or
        ``None``: leave the header out and do not compress.

    Raises:
        Refusal: the header is malformed; 400.
    """
    try:
        offers = parse_extensions(header or "")
    except ValueError:
        raise BadHandshake("the Sec-WebSocket-Extensions header is malformed") from None
    for name, parameters in offers:
        if name != _DEFLATE:
            continue
        try:
            agreed = _answer(_read_parameters(parameters, offer=True))
        except ValueError:
            continue
        return agreed
    return None


def _answer(offer: dict[str, int | None]) -> tuple[DeflateParameters, str]:
    # RFC 7692 section 7.1.2.1: the same or a smaller value than the offer's, and a server
    # MAY include the parameter even if the offer did not.
    server_bits = min(offer.get("server_max_window_bits") or _PREFERRED_BITS, _PREFERRED_BITS)
    if server_bits < _ZLIB_MIN_BITS:
        raise ValueError("server_max_window_bits=8 is beyond zlib")
    flags = [name for name in _FLAGS if name in offer]
    response = [_DEFLATE, *flags, f"server_max_window_bits={server_bits}"]
    # Section 7.1.2.2: MUST NOT be included unless the offer did. An offer of 8 is a hint
    # that older zlibs do not keep to (they take 8 for 9 without a word), so it is not made
    # binding: the parameter is left out, and our window is the largest.
    client_bits = offer.get("client_max_window_bits") or _PREFERRED_BITS
    if "client_max_window_bits" in offer and client_bits >= _ZLIB_MIN_BITS:
        client_bits = min(client_bits, _PREFERRED_BITS)
        response.append(f"client_max_window_bits={client_bits}")
    else:
        client_bits = _MAX_BITS
    agreed = DeflateParameters(
        server_no_context_takeover="server_no_context_takeover" in offer,
        client_no_context_takeover="client_no_context_takeover" in offer,
        server_max_window_bits=server_bits,
        client_max_window_bits=client_bits,
    )
    return agreed, "; ".join(response)


def _read_parameters(parameters: _Parameters, *, offer: bool) -> dict[str, int | None]:
    """Read permessage-deflate's parameters; a flag's value is ``None`` (RFC 7692 section 7.1)."""
    known: dict[str, int | None] = {}
    for name, value in parameters:
        if name in known:
            raise ValueError(f"parameter {name} is repeated")
        # Section 7.1.2.2: only in an offer client_max_window_bits may be without value.
        valueless = name in _FLAGS or (offer and name == "client_max_window_bits")
        if value is None and valueless:
            known[name] = None
        elif name in _WINDOWS and value in _WINDOW_BITS:
            known[name] = _WINDOW_BITS[value]
        else:
            raise ValueError(f"parameter {name} with value {value!r} is not one of {_DEFLATE}")
    return known


def parse_agreed_deflate(header: str | None) -> DeflateParameters | None:
    """Read a server's answer to :data:`DEFLATE_OFFER` (RFC 7692 section 7.1).

    Args:
        header: the response's ``Sec-WebSocket-Extensions``, or ``None``.

    Returns:
        The agreed parameters; ``None``: the server declined.

    Raises:
        ValueError: the answer does not fit the offer, and the client is to fail the
            connection (section 5.1).
    """
    extensions = parse_extensions(header or "")
    if not extensions:
        return None
    if len(extensions) > 1 or extensions[0][0] != _DEFLATE:
        names = ", ".join(name for name, _ in extensions)
        raise ValueError(f"server agreed to {names}, the offer was {_DEFLATE}")
    agreed = _read_parameters(extensions[0][1], offer=False)
    server_bits = agreed.get("server_max_window_bits") or _MAX_BITS
    client_bits = agreed.get("client_max_window_bits") or _MAX_BITS
    if client_bits < _ZLIB_MIN_BITS:
        raise ValueError("server asks for client_max_window_bits=8, which is beyond zlib")
    return DeflateParameters(
        server_no_context_takeover="server_no_context_takeover" in agreed,
        client_no_context_takeover="client_no_context_takeover" in agreed,
        server_max_window_bits=server_bits,
        client_max_window_bits=client_bits,
    )
