"""Plugins on disk, made by the tests."""

import textwrap
from pathlib import Path

MANIFEST = """
manifest = 1
name = "{name}"
version = "1.2"
handzoo = "{requires}"
licence = "Apache-2.0"

[[provides]]
part = "{part}"
name = "{provided}"
object = "{name}.code:{provided}"
"""


def write_plugin(
    parent: Path,
    name: str,
    code: str = "class Thing:\n    pass\n",
    provided: str = "Thing",
    part: str = "mesh_head",
    requires: str = ">=0.1",
) -> Path:
    """Write a package ``parent/name`` with a manifest and one module; return its folder."""
    folder = parent / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "code.py").write_text(textwrap.dedent(code))
    manifest = MANIFEST.format(name=name, part=part, provided=provided, requires=requires)
    (folder / "handzoo.toml").write_text(manifest)
    return folder
