"""The configuration table's row ``SOCKETS_ALLOWED_ORIGINS``, as the README has it."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from ..case import Case
from ..observer import log_records
from ..server import Site
from ..trial import Trial, request_head
from .configuration import area

__all__: list[str] = []


_ORIGIN = "https://app.example"


def _origin(
    allowed: object, origin: str | None, status: int, *, on_route: bool = False
) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        options = {"allowed_origins": allowed}
        site = t.own_site(**({"route": options} if on_route else {"config": options}))
        peer, response = t.ask(request_head("/echo", {"Origin": origin}), site=site)
        peer.leave()
        t.equal(response.status, status, "status")

    return run


for _name, _words, _value, _given, _status in (
    ("any", "'*'", "*", "https://evil.example", 101),
    ("list-has-it", "a list with it", [_ORIGIN], _ORIGIN, 101),
    ("list-has-it-not", "a list without it", [_ORIGIN], "https://evil.example", 403),
    ("list-scheme-differs", "a list with it, but for https", [_ORIGIN], "http://app.example", 403),
    ("list-default-port", "a list with it, the port written out", [f"{_ORIGIN}:443"], _ORIGIN, 101),
    ("list-empty", "an empty list", [], _ORIGIN, 403),
    ("callable-true", "a callable that says yes", lambda *_: True, _ORIGIN, 101),
    ("callable-false", "a callable that says no", lambda *_: False, _ORIGIN, 403),
    ("absent-from-list", "a list", [_ORIGIN], None, 101),
    ("absent-from-callable", "a callable that says no", lambda *_: False, None, 101),
):
    for _on_route in (False, True):
        area.add(
            Case(
                f"{'route-' if _on_route else ''}origin-{_name}",
                area.name,
                "SOCKETS_ALLOWED_ORIGINS",
                "must",
                f"{'A route has' if _on_route else 'The app has'} {_words}; "
                f"the request {'comes from ' + _given if _given else 'has no Origin'}.",
                f"Status {_status}.",
                _origin(_value, _given, _status, on_route=_on_route),
            )
        )


@area.case("SOCKETS_ALLOWED_ORIGINS", exclusive=True)
def origin_refusal_is_logged(t: Trial) -> None:
    """A foreign origin is refused.

    Expect: a log line names the origin, what was expected, and the key.
    """
    with log_records() as records:
        site = t.site()
        _, response = t.ask(request_head("/echo", {"Origin": "https://evil.example"}), site=site)
    t.equal(response.status, 403, "status")
    line = " ".join(record.getMessage() for record in records)
    for word in ("https://evil.example", "http://127.0.0.1", "SOCKETS_ALLOWED_ORIGINS"):
        t.true(word in line, f"the log does not say {word!r}: {line!r}")


def _behind_proxy(*, fix_first: bool) -> Callable[[Trial], None]:
    def run(t: Trial) -> None:
        site = _proxied(t, fix_first=fix_first)
        headers = {
            "Origin": "https://public.example",
            "X-Forwarded-Host": "public.example",
            "X-Forwarded-Proto": "https",
        }
        peer, response = t.ask(request_head("/echo", headers), site=site)
        peer.leave()
        t.equal(response.status, 101, "status")
        headers["Origin"] = "https://evil.example"
        _, response = t.ask(request_head("/echo", headers), site=site)
        t.equal(response.status, 403, "status of a foreign origin")

    return run


def _proxied(t: Trial, *, fix_first: bool) -> Site:
    def fix(app: Flask, _: object = None) -> None:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1, x_proto=1)  # type: ignore[method-assign]

    return t.own_site(**{"before" if fix_first else "prepare": fix})


for _first in (True, False):
    area.add(
        Case(
            f"origin-proxy-fix-{'before' if _first else 'after'}",
            area.name,
            "SOCKETS_ALLOWED_ORIGINS",
            "must",
            "Behind a proxy with another host and https; ProxyFix is applied "
            f"{'before' if _first else 'after'} Sockets(app).",
            "The public origin is the same origin; a foreign one is refused.",
            _behind_proxy(fix_first=_first),
        )
    )
