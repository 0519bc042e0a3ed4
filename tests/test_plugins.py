"""Backends and hosts made known in process, blocked, and checked by pluggy."""

from __future__ import annotations

import flask
import pluggy
import pytest
from distributions import install, run_python
from live import Live

from flask_threaded_sockets import Sockets, hookimpl, plugins
from flask_threaded_sockets.builtin import BuiltinBackend
from flask_threaded_sockets.exceptions import BackendError
from flask_threaded_sockets.hosting import find_host
from flask_threaded_sockets.hosts.werkzeug import WerkzeugHost


class Scripted(BuiltinBackend):
    name = "scripted"


@pytest.fixture
def scripted():
    backend = Scripted()
    plugins.register_backend(backend)
    yield backend
    plugins.unregister_backend("scripted")


def echo(ws):
    for message in ws:
        ws.send(message)


def test_registered_backend_is_chosen_by_name_and_serves(scripted):
    app = flask.Flask("scripted")
    sockets = Sockets(app, backend="scripted")
    sockets.route("/")(echo)
    assert sockets.backend is scripted
    live = Live(app)
    try:
        peer = live.open()
        peer.send(b"\x81\x85\x00\x00\x00\x00hello")
        assert peer.frame().payload == b"hello"
    finally:
        live.stop()


def test_backend_object_needs_no_name_to_be_known():
    app = flask.Flask("object")
    backend = Scripted()
    assert Sockets(app, backend=backend).backend is backend
    assert "scripted" not in plugins.backend_names()


def test_registered_backend_is_gone_when_it_is_unregistered(scripted):
    assert "scripted" in plugins.backend_names()
    plugins.unregister_backend("scripted")
    plugins.unregister_backend("scripted")
    with pytest.raises(BackendError, match="unknown backend 'scripted'"):
        plugins.load_backend("scripted")


def test_registered_backend_comes_before_an_installed_one_of_its_name():
    installed = plugins.load_backend("builtin")
    own = BuiltinBackend()
    plugins.register_backend(own)
    try:
        assert plugins.load_backend("builtin") is own
    finally:
        plugins.unregister_backend("builtin")
    assert plugins.load_backend("builtin") is installed


class Nameless(BuiltinBackend):
    name = None


class Later(Scripted):
    interface_version = 2


class Oddly(Scripted):
    interface_version = "1"


# what is no usable backend, what is said.
UNUSABLE = [
    (object(), "is not a Backend with a name"),
    (Scripted, "is not a Backend with a name"),
    (Nameless(), "is not a Backend with a name"),
    (Later(), r"\(registered in process\) is made for interface version 2, this is 1; upgrade"),
    (Oddly(), "is made for interface version 1, this is 1; upgrade"),
]


@pytest.mark.parametrize(("wrong", "said"), UNUSABLE)
def test_unusable_backend_is_not_registered(wrong, said):
    names = plugins.backend_names()
    with pytest.raises(BackendError, match=said):
        plugins.register_backend(wrong)
    assert plugins.backend_names() == names


# Blocking


@pytest.mark.parametrize("loaded", [True, False])
def test_blocked_backend_cannot_be_chosen_until_it_is_unblocked(loaded, scripted):
    if loaded:
        plugins.load_backend("builtin")
    for name in ("builtin", "scripted"):
        plugins.block_backend(name)
    try:
        assert {"builtin", "scripted"}.isdisjoint(plugins.backend_names())
        for name in ("builtin", "scripted"):
            said = f"backend '{name}' is blocked in this process; choose one of"
            with pytest.raises(BackendError, match=said):
                Sockets(flask.Flask("blocked"), backend=name)
    finally:
        for name in ("builtin", "scripted"):
            plugins.unblock_backend(name)
            plugins.unblock_backend(name)
    assert plugins.load_backend("builtin").name == "builtin"
    assert plugins.load_backend("scripted") is scripted


def test_backend_not_installed_may_be_blocked_beforehand():
    plugins.block_backend("zmq")
    try:
        with pytest.raises(BackendError, match="'zmq' is blocked"):
            plugins.load_backend("zmq")
    finally:
        plugins.unblock_backend("zmq")
    with pytest.raises(BackendError, match="unknown backend 'zmq'"):
        plugins.load_backend("zmq")


# Hosts


class OtherHost(WerkzeugHost):
    name = "Other"

    def claims(self, environ):
        return "other.socket" in environ


class OtherPlugin:
    def __init__(self):
        self.host = OtherHost()

    @hookimpl
    def websocket_host(self):
        return self.host


@pytest.fixture
def other():
    plugin = OtherPlugin()
    plugins.register_host(plugin)
    yield plugin
    plugins.unregister_host(plugin)


def test_registered_host_is_asked_first_until_it_is_unregistered(other):
    environ = {"other.socket": object(), "werkzeug.socket": object()}
    assert find_host(environ) is other.host
    plugins.unregister_host(other)
    plugins.unregister_host(other)
    assert find_host(environ).name == "Werkzeug"
    assert find_host({"other.socket": object()}) is None


def test_builtin_hosts_are_registered_like_anybodys():
    names = {host.name for host in plugins.hosts()}
    assert {"Werkzeug", "gunicorn", "gevent", "eventlet", "Cheroot", "uWSGI"} <= names


class Misspelt:
    @hookimpl
    def websocket_hosts(self):
        return OtherHost()


class WithAnArgument:
    @hookimpl
    def websocket_host(self, app):
        return OtherHost()


class Raises:
    @hookimpl
    def websocket_host(self):
        raise OSError("no driver")


class GivesTheClass:
    @hookimpl
    def websocket_host(self):
        return OtherHost


class WithoutHook:
    pass


WRONG = [
    (Misspelt, pluggy.PluginValidationError, "unknown hook 'websocket_hosts'"),
    (WithAnArgument, pluggy.PluginValidationError, "{'app'} are declared in the hookimpl"),
    (Raises, OSError, "no driver"),
    (GivesTheClass, ValueError, "no hook websocket_host that returns a Host, but <class"),
    (WithoutHook, ValueError, "no hook websocket_host that returns a Host, but nothing"),
]


@pytest.mark.parametrize(("kind", "error", "said"), WRONG)
def test_wrong_host_raises_and_leaves_the_others(kind, error, said, other):
    before = plugins.hosts()
    plugin = kind()
    for _ in range(2):  # it is not remembered
        with pytest.raises(error, match=said):
            plugins.register_host(plugin)
    assert plugins.hosts() == before


def test_host_is_registered_once(other):
    with pytest.raises(ValueError, match="is registered already"):
        plugins.register_host(other)
    assert plugins.hosts().count(other.host) == 1


HOST = """
    from flask_threaded_sockets import hookimpl
    from flask_threaded_sockets.hosts.werkzeug import WerkzeugHost

    class Acme(WerkzeugHost):
        name = "Acme"

    @hookimpl
    def websocket_host():
        return Acme()
"""

# Prints the hosts that are asked first, and what was logged.
ASK = """
import logging
logging.basicConfig(format="%(levelname)s %(message)s")
from flask_threaded_sockets.plugins import hosts
print(*[host.name for host in hosts()][:-7])
"""


def test_broken_host_of_a_distribution_is_left_out_with_a_warning(tmp_path):
    group = "flask_threaded_sockets.hosts"
    modules = {"acme_host": HOST}
    install(tmp_path, "acme", {"acme": "acme_host"}, modules, version="2", group=group)
    broken = {
        "raising": HOST.replace("return Acme()", "1 / 0"),
        "unimportable": "import no_such_library",
    }
    for name, source in broken.items():
        install(tmp_path, f"zeta-{name}", {name: name}, {name: source}, group=group)
    (tmp_path / "ask.py").write_text(ASK)
    done = run_python(tmp_path, "ask.py")
    assert done.stdout == "Acme\n"
    start = "WARNING host"
    missing = "No module named 'no_such_library'"
    assert done.stderr.splitlines() == [
        f"{start} 'raising' (zeta-raising 1.0) is left out: division by zero",
        f"{start} 'unimportable' (zeta-unimportable 1.0) is left out: {missing}",
    ]


# One module with both hooks; the app uses the backend, then the hosts are looked at.
BOTH = """
import flask
from flask_threaded_sockets import Sockets
from flask_threaded_sockets.plugins import hosts
print(Sockets(flask.Flask("both"), backend="both").backend.name, hosts()[0].name)
"""


def test_module_may_have_both_hooks(tmp_path):
    from_distributions = (
        HOST
        + """
    from flask_threaded_sockets.builtin import BuiltinBackend

    class Both(BuiltinBackend):
        name = "both"

    @hookimpl
    def websocket_backend():
        return Both()
    """
    )
    modules = {"both": from_distributions}
    install(tmp_path, "acme-both", {"both": "both"}, modules)
    install(tmp_path, "acme-host", {"both": "both"}, {}, group="flask_threaded_sockets.hosts")
    (tmp_path / "ask.py").write_text(BOTH)
    done = run_python(tmp_path, "ask.py")
    assert (done.stdout, done.stderr) == ("both Acme\n", "")
