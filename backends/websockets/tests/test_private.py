"""The library installed has what is relied on, and nothing else of it is used."""

from __future__ import annotations

import ast
import importlib
import inspect
from importlib import metadata

import pytest
from flask_threaded_sockets_websockets.codec import ServerCodec
from flask_threaded_sockets_websockets.hosted import HostedConnection
from flask_threaded_sockets_websockets.private import PRIVATE_NAMES, TRIED_VERSIONS
from websockets.server import ServerProtocol
from websockets.sync.connection import Connection

# What websockets' reference documents, of the classes the package derives from.
DOCUMENTED = {
    "accept",
    "close_expected",
    "data_to_send",
    "events_received",
    "fail",
    "receive_data",
    "receive_eof",
    "send_binary",
    "send_close",
    "send_continuation",
    "send_ping",
    "send_pong",
    "send_text",
    "state",
}


def found(owner: str) -> type:
    module, _, name = owner.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("owner", PRIVATE_NAMES)
def test_every_name_listed_exists(owner):
    kind = found(owner)
    source = inspect.getsource(kind)
    for name, purpose in PRIVATE_NAMES[owner].items():
        assert hasattr(kind, name) or f"self.{name}" in source, f"{owner}.{name}: {purpose}"


def own_names(tree: ast.AST) -> set[str]:
    """Give the names used as ``self.x`` or ``super().x``, or defined as a method."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            on = node.value
            if (isinstance(on, ast.Name) and on.id == "self") or (
                isinstance(on, ast.Call) and getattr(on.func, "id", "") == "super"
            ):
                names.add(node.attr)
        elif isinstance(node, ast.FunctionDef):
            names.add(node.name)
    return names


@pytest.mark.parametrize(
    ("kind", "base"), [(HostedConnection, Connection), (ServerCodec, ServerProtocol)]
)
def test_every_name_used_of_a_base_class_is_documented_or_listed(kind, base):
    listed = {name for names in PRIVATE_NAMES.values() for name in names}
    source = "".join(inspect.getsource(parent) for parent in base.__mro__[:-1])
    used = own_names(ast.parse(inspect.getsource(kind)))
    of_library = {name for name in used if hasattr(base, name) or f"self.{name} =" in source} - set(
        dir(object)
    )
    assert of_library <= listed | DOCUMENTED


def test_no_module_uses_an_underscored_name_of_the_library():
    library = {name for kind in (Connection, ServerProtocol) for name in vars(kind)}
    underscored = {name for name in library if name.startswith("_") and not name.endswith("__")}
    assert underscored.isdisjoint(vars(HostedConnection))


def test_version_installed_is_not_newer_than_the_newest_tried():
    def number(version: str) -> tuple[int, ...]:
        return tuple(int(part) for part in version.split(".")[:1])

    installed = number(metadata.version("websockets"))
    tried = [number(version) for version in TRIED_VERSIONS]
    assert min(tried) <= installed <= max(tried), "try it, and put it into private.py"
