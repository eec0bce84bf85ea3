"""Each check of a resource resolver finds its breach, and names it; a right one passes."""

import itertools
from pathlib import Path

import pytest
from breaches import failures

from handzoo import resources
from handzoo.errors import ResourceError
from handzoo.resources import MISSING, REAL, STAND_IN, ResourceUse

HOW = "Write to the authors."


def good(name, path):
    if path is not None:
        if not (path / "weights.bin").is_file():
            raise ResourceError(f"{name}: {path} has no weights.bin. {HOW}")
        return ResourceUse(name, REAL, str(path), HOW)
    return ResourceUse(name, STAND_IN, "random", HOW, "random weights")


def answering(*fields, **more):
    """A resolver that gives this answer wherever the config does not name a path."""
    return lambda name, path: good(name, path) if path else ResourceUse(*fields, **more)


def takes_any_folder(name, path):
    return good(name, None) if path is None else ResourceUse(name, REAL, str(path), HOW)


def fails_on_a_folder(name, path):
    return good(name, None) if path is None else path.read_bytes()


def returns_a_path(name, path):
    return Path("weights.bin")


def counting(name, path, count=itertools.count()):  # noqa: B008  (that is what is wrong with it)
    return ResourceUse(name, STAND_IN, f"copy {next(count)}", HOW, "a copy")


@pytest.mark.parametrize(
    ("resolver", "check", "words"),
    [
        (answering("lab/other", STAND_IN, "x", HOW, "x"), "contract", "hand the name through"),
        (answering("lab/weights", "found", "x", HOW), "contract", "status must be one of"),
        (answering("lab/weights", REAL, "x", ""), "contract", "how is empty"),
        (answering("lab/weights", REAL, "", HOW), "contract", "where is empty"),
        (answering("lab/weights", MISSING, "x", HOW), "contract", "and yet at"),
        (answering("lab/weights", STAND_IN, "x", HOW), "contract", "note is empty"),
        (returns_a_path, "contract", "returns a ResourceUse"),
        (counting, "repeatable", "differs from the first"),
        (answering("lab/weights", REAL, Path("x"), HOW), "repeatable", "plain text"),
        (takes_any_folder, "path", "takes an empty folder"),
        (fails_on_a_folder, "path", "raise ResourceError"),
    ],
)
def test_each_breach_is_found(monkeypatch, resolver, check, words):
    monkeypatch.setitem(resources._RESOLVERS, "lab/*", resolver)
    assert words in failures("resource_resolver", dict(name="lab/weights"), check)[check]


def test_a_right_resolver_passes(monkeypatch):
    monkeypatch.setitem(resources._RESOLVERS, "lab/*", good)
    assert failures("resource_resolver", dict(name="lab/weights")) == {}
