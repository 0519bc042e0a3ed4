"""What is said of a backend that cannot be used: at set-up, and the others still work.

The backends are distributions' own, found by their metadata in a new interpreter.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any, NamedTuple

import flask
import pytest
from distributions import BACKEND, install, run_python

from flask_threaded_sockets import Sockets
from flask_threaded_sockets.discovery import unknown_backend_text
from flask_threaded_sockets.exceptions import BackendError, ConfigurationError

CORE = "flask-threaded-sockets"


class Broken(NamedTuple):
    """A distribution's module, and what is said about it."""

    id: str
    source: str
    said: str


WITH_LABEL = "backend 'little' (acme-little 2.5) "

# `…` stands for anything.
BROKEN = [
    Broken(
        "missing-library",
        "import no_such_library",
        "failed to import: No module named 'no_such_library'; to install what it needs: "
        "pip install --upgrade acme-little",
    ),
    Broken(
        "import-error",
        "from flask import no_such_name",
        "failed to import: ImportError: cannot import name 'no_such_name' from 'flask'…; "
        "another version of acme-little may do",
    ),
    Broken(
        "any-error",
        "1 / 0",
        "failed to import: ZeroDivisionError: division by zero; "
        "another version of acme-little may do",
    ),
    Broken(
        "syntax",
        "def (",
        "failed to import: SyntaxError: …; another version of acme-little may do",
    ),
    Broken(
        "misspelt-hook",
        BACKEND.format(name="little").replace("def websocket_backend", "def web_socket_backend"),
        "has a wrong hook: unknown hook 'web_socket_backend' in plugin …; "
        "the hooks are those of flask_threaded_sockets.hookspecs",
    ),
    Broken(
        "hook-with-an-argument",
        BACKEND.format(name="little").replace("websocket_backend()", "websocket_backend(app)"),
        "has a wrong hook: Plugin …Argument(s) {'app'} are declared in the hookimpl but can not "
        "be found in the hookspec; the hooks are those of flask_threaded_sockets.hookspecs",
    ),
    Broken(
        "unmarked-hook",
        BACKEND.format(name="little").replace("@hookimpl", ""),
        "has no hook websocket_backend that returns a Backend, but nothing; mark it with "
        "flask_threaded_sockets.hookimpl",
    ),
    Broken(
        "returns-the-class",
        BACKEND.format(name="little").replace("return Little()", "return Little"),
        "has no hook websocket_backend that returns a Backend, but <class 'little.Little'>; mark "
        "it with flask_threaded_sockets.hookimpl",
    ),
    Broken(
        "hook-raises",
        BACKEND.format(name="little").replace("return Little()", "raise OSError('no driver')"),
        "failed in its hook websocket_backend: OSError: no driver",
    ),
    Broken(
        "abstract",
        BACKEND.format(name="little").replace("def open", "def opens"),
        "failed in its hook websocket_backend: TypeError: Can't instantiate abstract class "
        "Little …",
    ),
    Broken(
        "later-interface",
        BACKEND.format(name="little") + "\n    Little.interface_version = 99",
        "is made for interface version 99, this is 1; upgrade flask-threaded-sockets",
    ),
    Broken(
        "earlier-interface",
        BACKEND.format(name="little") + "\n    Little.interface_version = 0",
        "is made for interface version 0, this is 1; upgrade the backend",
    ),
    Broken(
        "other-name",
        BACKEND.format(name="large"),
        "calls itself 'large'; its name and its entry point's must be the same",
    ),
]

# Says how setting up went with the backend of the environment, then with two others.
SET_UP = """
import sys
import flask
from flask_threaded_sockets import Sockets

def set_up(name, **options):
    try:
        sockets = Sockets(flask.Flask(name), **options)
    except ValueError as error:
        print(type(error).__name__, error)
    else:
        print("uses", sockets.backend.name)

set_up("chosen")
set_up("again")
set_up("builtin", backend="builtin")
set_up("good", backend="good")
"""


def set_up(site, chosen):
    install(site, "acme-good", {"good": "good"}, {"good": BACKEND.format(name="good")})
    (site / "set_up.py").write_text(SET_UP)
    done = run_python(site, "set_up.py", environ={"FLASK_SOCKETS_BACKEND": chosen})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first, again, *others = done.stdout.splitlines()
    assert again == first, "the second app of a process is told the same"
    assert others == ["uses builtin", "uses good"]
    return first


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.id)
def test_broken_backend_is_named_at_set_up_and_harms_no_other(broken, tmp_path):
    install(tmp_path, "acme-little", {"little": "little"}, {"little": broken.source}, version="2.5")
    said = set_up(tmp_path, "little")
    start, _, end = f"BackendError {WITH_LABEL}{broken.said}".partition("…")
    if "…" in broken.said:
        assert said.startswith(start)
        assert said.endswith(end.rstrip("…"))
        assert len(said) > len(start) + len(end)
    else:
        assert said == start


def test_name_that_two_distributions_claim_is_refused(tmp_path):
    source = BACKEND.format(name="little")
    install(tmp_path, "acme-little", {"little": "little"}, {"little": source})
    install(tmp_path, "zeta-ws", {"little": "zeta"}, {"zeta": source}, version="3")
    assert set_up(tmp_path, "little") == (
        "BackendError backend 'little' is claimed by two distributions, acme-little 1.0 and "
        "zeta-ws 3; pip uninstall one of them"
    )


def test_two_names_for_one_module_are_refused(tmp_path):
    source = BACKEND.format(name="little")
    install(tmp_path, "acme-little", {"little": "little", "alias": "little"}, {"little": source})
    (tmp_path / "both.py").write_text(
        "import flask\nfrom flask_threaded_sockets import Sockets\n"
        "Sockets(flask.Flask('a'), backend='little')\n"
        "Sockets(flask.Flask('b'), backend='alias')\n"
    )
    done = run_python(tmp_path, "both.py")
    assert done.returncode == 1
    assert done.stderr.endswith(
        "backend 'alias' (acme-little 1.0) loads the same object as backend little; each entry "
        "point needs a module or object of its own\n"
    )


def test_sound_backend_is_used(tmp_path):
    source = BACKEND.format(name="little")
    install(tmp_path, "acme-little", {"little": "little"}, {"little": source})
    assert set_up(tmp_path, "little") == "uses little"


def test_distribution_that_is_on_the_path_twice_is_one(tmp_path):
    source = BACKEND.format(name="little")
    install(tmp_path, "acme-little", {"little": "little"}, {"little": source})
    install(tmp_path / "checkout", "Acme_Little", {"little": "little"}, {})
    (tmp_path / "twice.py").write_text(
        "import sys; sys.path.append('checkout')\n"
        "import flask\nfrom flask_threaded_sockets import Sockets\n"
        "print(Sockets(flask.Flask('twice'), backend='little').backend.name)\n"
    )
    assert run_python(tmp_path, "twice.py").stdout == "little\n"


def test_misspelt_name_of_an_installed_backend(tmp_path):
    source = BACKEND.format(name="little")
    install(tmp_path, "acme-little", {"little": "little"}, {"little": source})
    said = set_up(tmp_path, "litle")
    start = "BackendError unknown backend 'litle', did you mean 'little'? installed: builtin, "
    assert said.startswith(start)
    assert {"good", "little"} <= set(said.removeprefix(start).split(", "))


BUILTIN_ONLY = "installed: builtin; to install it: pip install 'flask-threaded-sockets"

# asked for, the names that are usable, what is said.
UNKNOWN = [
    (
        "wsprto",
        ["builtin", "wsproto"],
        "unknown backend 'wsprto', did you mean 'wsproto'? installed: builtin, wsproto",
    ),
    (
        "wsproto",
        ["builtin"],
        f"unknown backend 'wsproto'; {BUILTIN_ONLY}[wsproto]'",
    ),
    (
        "websockets-sansio",
        ["builtin"],
        f"unknown backend 'websockets-sansio'; {BUILTIN_ONLY}[websockets]'",
    ),
    (
        "websocket",
        ["builtin"],
        f"unknown backend 'websocket', did you mean 'websockets'? {BUILTIN_ONLY}[websockets]'",
    ),
    (
        "WSProto",
        ["wsproto"],
        "unknown backend 'WSProto', did you mean 'wsproto'? installed: wsproto",
    ),
    ("zmq", ["builtin", "wsproto"], "unknown backend 'zmq'; installed: builtin, wsproto"),
    ("zmq", [], "unknown backend 'zmq'; installed: none"),
]


@pytest.mark.parametrize(("name", "usable", "text"), UNKNOWN)
def test_unknown_backend_text(name, usable, text):
    assert unknown_backend_text(name, usable) == text


def test_extras_are_the_distributions_that_bring_backends():
    extras = set(metadata.metadata(CORE).get_all("Provides-Extra"))
    wanted = {r for r in metadata.requires(CORE) if "extra ==" in r}
    assert extras == {"wsproto", "websockets"}
    assert {w.partition(";")[0].strip() for w in wanted} == {f"{CORE}-{e}" for e in extras}


@pytest.mark.parametrize("argument", [5, b"builtin", BackendError])
def test_argument_of_another_type_is_refused(argument: Any):
    with pytest.raises(ConfigurationError, match="must be the name of a backend or a Backend"):
        Sockets(flask.Flask("typed"), backend=argument)


# what names an unknown backend, in order of precedence.
@pytest.mark.parametrize("how", ["argument", "environment", "config"])
@pytest.mark.parametrize("when", ["Sockets(app)", "init_app"])
def test_unusable_backend_raises_at_set_up_and_leaves_the_app_alone(how, when, monkeypatch):
    app = flask.Flask("unusable")
    if how == "environment":
        monkeypatch.setenv("FLASK_SOCKETS_BACKEND", "zmq")
    if how == "config":
        app.config["SOCKETS_BACKEND"] = "zmq"
    argument = "zmq" if how == "argument" else None
    with pytest.raises(BackendError, match="unknown backend 'zmq'") as caught:
        if when == "init_app":
            Sockets(backend=argument).init_app(app)
        else:
            Sockets(app, backend=argument)
    assert caught.value.backend == "zmq"
    assert "flask_threaded_sockets" not in app.extensions


# argument, environment, config -> the one that decides, and how it is told.
PRECEDENCE = [
    ("one", "two", "three", "one", "argument"),
    (None, "two", "three", "two", "environment variable FLASK_SOCKETS_BACKEND"),
    (None, "", "three", "three", "SOCKETS_BACKEND in the config"),
    (None, None, "three", "three", "SOCKETS_BACKEND in the config"),
    (None, None, None, "builtin", "default"),
]


@pytest.mark.parametrize(("argument", "environment", "config", "decides", "source"), PRECEDENCE)
def test_precedence(argument, environment, config, decides, source, tmp_path):
    for name in ("one", "two", "three"):
        install(tmp_path, f"acme-{name}", {name: name}, {name: BACKEND.format(name=name)})
    (tmp_path / "app.py").write_text(
        "import logging, sys, flask\n"
        "from flask_threaded_sockets import Sockets\n"
        "logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')\n"
        f"app = flask.Flask('app')\nif {config!r}: app.config['SOCKETS_BACKEND'] = {config!r}\n"
        f"print(Sockets(app, backend={argument!r}).backend.name)\n"
        "print(*({'one', 'two', 'three'} & set(sys.modules)))\n"
    )
    given = {} if environment is None else {"FLASK_SOCKETS_BACKEND": environment}
    done = run_python(tmp_path, "app.py", environ=given)
    imported = "" if decides == "builtin" else decides
    assert done.stdout.splitlines() == [decides, imported], "only the chosen one is imported"
    assert done.stderr == f"INFO app 'app' uses websocket backend '{decides}' ({source})\n"


def test_importing_the_package_imports_no_backend_and_no_library(tmp_path):
    libraries = ["websockets", "wsproto", "h11", "gevent", "eventlet", "gunicorn"]
    installed = metadata.entry_points(group="flask_threaded_sockets.backends")
    plugins = [entry.module for entry in installed if entry.dist.name != CORE]
    (tmp_path / "ask.py").write_text(
        "import sys, flask_threaded_sockets, flask_threaded_sockets.cli, "
        "flask_threaded_sockets.testing\n"
        f"print(*(set({libraries + plugins}) & set(sys.modules)))\n"
    )
    done = run_python(tmp_path, "ask.py")
    assert (done.stdout, done.stderr) == ("\n", "")


def test_modules_of_the_package_are_importable_by_their_entry_points():
    for entry in metadata.entry_points(group="flask_threaded_sockets.hosts"):
        if entry.dist.name == CORE:
            assert importlib.import_module(entry.module).websocket_host()
