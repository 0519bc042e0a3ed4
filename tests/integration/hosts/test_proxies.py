"""The proxies of docs/servers.md, as they stand there, in front of an app that is theirs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from integration.hosts.servers import Hosted
from integration.processes import free_port, running, wait_for
from peer import CLOSE, TEXT, Frame, Peer, bulk, close_frame, request
from websockets.asyncio.client import connect
from wire import wire

PAGE = (Path(__file__).parents[3] / "docs" / "servers.md").read_text("utf-8")
SEARCH = f"{os.environ.get('PATH', '')}:/usr/sbin"

NGINX = """
daemon off;
master_process off;
pid {directory}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
{snippet}
    }}
}}
"""

CADDY = """
{{
    admin off
    auto_https disable_redirects
    skip_install_trust
    storage file_system {directory}/storage
}}
{snippet}
"""


def snippet(first: str) -> str:
    """Give the indented block of the page that begins with a line."""
    block = re.search(rf"^    {re.escape(first)}$.*?(?=^\S|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert block, first
    return block[0]


def nginx(program: str, directory: Path, port: int, behind: int, pair: tuple[str, str]):
    text = snippet("location / {").replace("127.0.0.1:5000", f"127.0.0.1:{behind}")
    file = directory / "nginx.conf"
    certificate, key = pair
    file.write_text(
        NGINX.format(directory=directory, port=port, certificate=certificate, key=key, snippet=text)
    )
    return [program, "-e", "stderr", "-p", directory, "-c", file]


def caddy(program: str, directory: Path, port: int, behind: int, pair: tuple[str, str]):
    text = snippet("example.org {").replace("127.0.0.1:5000", f"127.0.0.1:{behind}")
    text = text.replace("example.org {", f"localhost:{port} {{\n        tls {' '.join(pair)}")
    file = directory / "Caddyfile"
    file.write_text(CADDY.format(directory=directory, snippet=text))
    return [program, "run", "--config", file, "--adapter", "caddyfile"]


@dataclass(frozen=True)
class Proxied:
    """A server and the proxy in front of it."""

    server: Hosted
    port: int
    tls: ssl.SSLContext
    peers: contextlib.ExitStack

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.port}"

    def ask(self, path: str, origin: str) -> tuple[int, Peer]:
        peer = self.peers.enter_context(Peer(self.port, tls=self.tls))
        host = {"Host": f"localhost:{self.port}"}
        peer.send(request(path, [("Origin", origin)], replace=host))
        return peer.head().status, peer


PROXIES: dict[str, Callable[..., Any]] = {"nginx": nginx, "caddy": caddy}


@pytest.fixture(params=PROXIES)
def proxied(
    request: pytest.FixtureRequest, start, tmp_path: Path, certificate, monkeypatch
) -> Iterator[Proxied]:
    program = shutil.which(request.param, path=SEARCH)
    if program is None and not os.environ.get("CI"):
        pytest.skip(f"{request.param} not found (Debian's package of that name)")
    assert program, f"{request.param} not found"
    monkeypatch.setenv("HOSTED_BEHIND_PROXY", "1")
    server = start("own")
    port = free_port()
    command = PROXIES[request.param](program, tmp_path, port, server.port, certificate)
    tls = ssl.create_default_context(cafile=certificate[0])
    with (
        running(command, directory=tmp_path, log=tmp_path / "proxy.log", port=port),
        contextlib.ExitStack() as peers,
    ):
        yield Proxied(server, port, tls, peers)


def test_proxy_of_the_manual_passes_everything_on(proxied: Proxied) -> None:
    url = f"wss://localhost:{proxied.port}/echo"
    tls, origin = proxied.tls, proxied.origin

    async def converse() -> int | None:
        async with connect(url, ssl=tls, origin=origin, max_size=None) as client:
            for message in ("grüße 🐍", b"\x00\xff", "", b"m" * 3_000_000):
                await client.send(message)
                assert await client.recv() == message
            await (await client.ping())
            await client.close(3001, "enough")
        return client.close_code

    assert asyncio.run(asyncio.wait_for(converse(), 60)) == 3001


def test_proxied_page_is_of_the_same_origin_and_another_is_not(proxied: Proxied) -> None:
    assert proxied.ask("/echo", proxied.origin)[0] == 101
    for foreign in (f"http://localhost:{proxied.port}", "https://evil.example"):
        assert proxied.ask("/echo", foreign)[0] == 403


def test_ends_pass_the_proxy_both_ways(proxied: Proxied) -> None:
    status, peer = proxied.ask("/closes", proxied.origin)
    assert status == 101
    peer.text("go")
    assert peer.frames_to_end() == [Frame(CLOSE, wire("0b b8") + b"bye")]
    for ending in ("close frame", "close", "reset"):
        status, peer = proxied.ask("/idle", proxied.origin)
        assert status == 101
        wait_for(lambda: proxied.server.state()["clients"] == 1, "connection")
        if ending == "close frame":
            peer.send(close_frame())
        else:
            getattr(peer, ending)()
        wait_for(lambda: proxied.server.state()["clients"] == 0, f"end after {ending}", 10)


def test_server_behind_the_proxy_that_stops_tells_its_clients(proxied: Proxied) -> None:
    status, peer = proxied.ask("/echo", proxied.origin)
    assert status == 101
    peer.send(bulk(TEXT, b"x"))
    assert peer.frame() == Frame(TEXT, b"x")
    proxied.server.process.process.send_signal(signal.SIGTERM)
    assert peer.frames_to_end() == [Frame(CLOSE, wire("03 e9"))]
