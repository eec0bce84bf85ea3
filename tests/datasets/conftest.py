import pytest


@pytest.fixture(autouse=True)
def _no_user_cache(tmp_path, monkeypatch):
    """Keep the tests out of the user's cache."""
    monkeypatch.setenv("HANDZOO_CACHE", str(tmp_path / "user_cache"))
