"""``handzoo plugins new``: write a plugin that installs, passes its tests and trains."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
import sys
import tempfile
from pathlib import Path
from string import Template

import handzoo
from handzoo.errors import PluginError, suggest
from handzoo.plugins.manager import PluginManager

TEMPLATES = Path(__file__).parent / "templates"


def scaffold_parts() -> list[str]:
    """The parts that there is a template for."""
    return sorted(path.name.removesuffix(".py.tmpl") for path in (TEMPLATES / "parts").iterdir())


def create_plugin(name: str, part: str = "mesh_head", parent: str | Path = ".") -> Path:
    """Write an installable plugin with one working class.

    Args:
        name: of the plugin, its package and, in CamelCase, its class.
        part: what it provides; one of :func:`scaffold_parts`.
        parent: folder in which the folder ``name`` is made.

    Returns:
        The new folder.

    Raises:
        PluginError: the name is no identifier or taken, the part has no template, or the folder
            is there already.
    """
    package = name.replace("-", "_")
    _check_name(name, package)
    parts = scaffold_parts()
    if part not in parts:
        raise PluginError(
            f"no template for the part {part!r}. {suggest(part, parts)} There are: "
            f"{', '.join(parts)}."
        )
    root = Path(parent) / name
    if root.exists():
        raise PluginError(f"{root} is there already; choose another name or --out.")
    module = part if part != package else f"{part}_part"
    words = {
        "package": package,
        "distribution": package.replace("_", "-"),
        "part": part,
        "module": module,
        "cls": "".join(word.capitalize() for word in package.split("_")),
        "requires": compatible_range(handzoo.__version__),
    }
    files = {
        "pyproject.toml": "pyproject.toml.tmpl",
        "README.md": "README.md.tmpl",
        f"{package}/handzoo.toml": "handzoo.toml.tmpl",
        f"{package}/{module}.py": f"parts/{part}.py.tmpl",
        f"{package}/configs/tiny_sample.py": _config_template(part),
        f"{package}/configs/metafile.yml": "metafile.yml.tmpl",
        f"tests/test_{package}.py": _test_template(part),
    }
    Path(parent).mkdir(parents=True, exist_ok=True)
    # Written beside its place and then moved, so that a half-written plugin is never left.
    with tempfile.TemporaryDirectory(dir=parent) as scratch:
        draft = Path(scratch) / name
        for target, template in files.items():
            path = draft / target
            path.parent.mkdir(parents=True, exist_ok=True)
            text = Template((TEMPLATES / template).read_text(encoding="utf-8"))
            path.write_text(text.substitute(words), encoding="utf-8")
        (draft / package / "__init__.py").write_text("", encoding="utf-8")
        shutil.move(draft, root)
    return root


def _check_name(name: str, package: str) -> None:
    """Raise unless a package of this name can be written and imported as itself."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", package):
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
        likely = re.sub(r"\W+", "_", words).strip("_").lower()
        hint = f" How about {likely!r}?" if re.fullmatch(r"[a-z][a-z0-9_]*", likely) else ""
        raise PluginError(
            f"{name!r} cannot name a plugin: begin with a letter, and use lower-case letters, "
            f"digits, _ and -.{hint}"
        )
    if keyword.iskeyword(package) or package in sys.stdlib_module_names:
        raise PluginError(f"{name!r} cannot name a plugin: the name belongs to Python itself.")
    # A folder without __init__.py, as the one that is about to be written, has no origin.
    spec = importlib.util.find_spec(package)
    if package == "handzoo_plugins" or (spec is not None and spec.origin is not None):
        raise PluginError(
            f"{name!r} cannot name a plugin: a package {package!r} is there already, and one of "
            "the two would hide the other."
        )
    taken = PluginManager().plugins.get(package)
    if taken is not None:
        raise PluginError(
            f"{name!r} cannot name a plugin: there is one of that name already, from "
            f"{taken.origin}, and it would be shadowed."
        )


def compatible_range(version: str) -> str:
    """The versions that a plugin written today fits: this one up to the next minor release."""
    major, minor = (int(number) for number in version.split(".")[:2])
    return f">={major}.{minor},<{major}.{minor + 1}"


def _config_template(part: str) -> str:
    special = TEMPLATES / f"config_{part}.py.tmpl"
    return special.name if special.is_file() else "config_model.py.tmpl"


def _test_template(part: str) -> str:
    special = TEMPLATES / f"test_{part}.py.tmpl"
    return special.name if special.is_file() else "test_conformance.py.tmpl"
