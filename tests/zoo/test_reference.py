"""The reference pages say what the registries hold now."""

from pathlib import Path

import pytest

from handzoo.zoo.reference import INTRODUCTIONS, core_classes, main, pages

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reference"


def test_shipped_pages_are_current():
    if not DOCS.is_dir():
        pytest.skip("docs/ is not part of an installed package")
    assert main(["--check", "--out", str(DOCS)]) == 0, "run tools/make_reference.py"


def test_drift_is_found(tmp_path):
    assert main(["--out", str(tmp_path)]) == 0
    (tmp_path / "neck.md").write_text("old")
    assert main(["--check", "--out", str(tmp_path)]) == 1


def test_every_class_has_its_arguments_and_a_docstring():
    from handzoo.registry import REGISTRIES

    text = pages()
    for role in INTRODUCTIONS:
        for name, cls in core_classes(REGISTRIES[role]):
            assert f"## {name}" in text[f"{role}.md"]
            assert cls.__doc__, f"{role} {name} has no docstring"
    assert "| `out_channels` | `64` |" in text["neck.md"]
