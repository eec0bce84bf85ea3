"""What the tests of plugins share."""

import pytest


@pytest.fixture
def isolated(monkeypatch, tmp_path):
    """No plugin but those that the test names; ``sys.path`` as before afterwards."""
    import sys

    from handzoo.plugins import manager as module

    monkeypatch.delenv("HANDZOO_PLUGINS", raising=False)
    monkeypatch.delenv("HANDZOO_DISABLE_PLUGINS", raising=False)
    monkeypatch.setattr(module, "installed_plugins", lambda: iter(()))
    monkeypatch.setattr(module, "namespace_plugins", lambda: iter(()))
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path
