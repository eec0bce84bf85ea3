"""What the pages say exists: links, commands and their options, models, Python that parses."""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from handzoo import cli

ROOT = Path(__file__).resolve().parents[1]
if not (ROOT / "docs").is_dir():
    pytest.skip("the pages are not part of an installed package", allow_module_level=True)

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
    *sorted((ROOT / "configs").glob("*/README.md")),
    *sorted((ROOT / "handzoo_plugins").glob("*/README.md")),
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(
    r"(?:tools/(?P<tool>\w+)\.py|(?<![\w./:-])handzoo (?!import\b)(?P<sub>[a-z][a-z-]*))"
    r"(?P<rest>[^`#|\n]*)"
)
MODEL = re.compile(r"(?<![\w/.-])((?:\w+/)?[a-z]\w*_(?:freihand|tiny_sample|rhd))(?![\w/.-])")
FILE = re.compile(r"(?<![\w/.])((?:handzoo|tools|tests|configs(?=/\w+/))/[\w./-]*\.\w+)")
INVENTED = "my_head"  # what pages call the reader's own plugin


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_of(name: str) -> str:
    """Fenced and inline code of a page; a command goes on after a backslash."""
    text = text_of(name)
    fenced = [match[3] for match in FENCE.finditer(text)]
    indented = [line[4:] for line in text.splitlines() if line.startswith("    python ")]
    inline = re.findall(r"`([^`]+)`", FENCE.sub("", text))
    spans = [" ".join(span.split()) for span in inline]
    return "\n".join(re.sub(r"\\\n\s*", " ", part) for part in [*fenced, *indented, *spans])


def commands_of(name: str) -> list[tuple[str, str, str]]:
    """(kind, name, arguments) of every command in a page's code."""
    found = []
    for match in COMMAND.finditer(code_of(name)):
        kind = "tool" if match["tool"] else "sub"
        found.append((kind, match["tool"] or match["sub"], match["rest"]))
    return found


@functools.cache
def help_of(kind: str, name: str, action: str = "") -> str:
    """What ``--help`` prints."""
    if kind == "tool":
        done = subprocess.run(
            [sys.executable, str(ROOT / "tools" / f"{name}.py"), "--help"],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        return done.stdout
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        cli.main([name, *([action] if action else []), "--help"])
    return printed.getvalue()


def test_pages_hold_commands_and_links():
    """Else the patterns above would have stopped finding what the other tests check."""
    commands = [command for name in NAMES for command in commands_of(name)]
    assert len({name for kind, name, _ in commands if kind == "tool"}) > 10
    assert len({name for kind, name, _ in commands if kind == "sub"}) > 7
    assert sum(len(re.findall(r"--[a-z]", rest)) for _, _, rest in commands) > 50


@pytest.mark.parametrize("name", NAMES)
def test_relative_links_lead_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text_of(name))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{name}: ({target}) leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ +(.+)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", h.lower()).strip().replace(" ", "-") for h in headings}
            assert anchor in slugs, f"{name}: {found.name} has no heading #{anchor}"


@pytest.mark.parametrize("name", NAMES)
def test_commands_and_their_options_exist(name):
    for kind, command, rest in commands_of(name):
        if kind == "tool":
            assert (ROOT / "tools" / f"{command}.py").is_file(), f"{name}: no tools/{command}.py"
        else:
            assert command in cli.available(), f"{name}: there is no `handzoo {command}`"
        options = re.findall(r"(?<!\S)\[?(--[a-z][a-z0-9-]*)", rest)
        action = rest.split()[0] if command == "plugins" and rest.split() else ""
        for option in options:
            known = re.findall(r"--[a-z][a-z0-9-]*", help_of(kind, command, action))
            assert option in known, f"{name}: {command} has no {option}"


@pytest.mark.parametrize("name", NAMES)
def test_models_and_files_exist(name):
    from handzoo.zoo.index import find_config

    code = code_of(name)
    for model in set(MODEL.findall(code)):
        if INVENTED not in model and not model.startswith("work_dirs/"):
            assert find_config(model) is not None, f"{name}: no model is called {model}"
    for path in set(FILE.findall(code)):
        assert INVENTED in path or (ROOT / path).exists(), f"{name}: there is no {path}"


@pytest.mark.parametrize("name", NAMES)
def test_python_parses_and_its_imports_exist(name):
    import importlib

    for indent, language, body in FENCE.findall(text_of(name)):
        if language != "python":
            continue
        lines = [line.removeprefix(indent) for line in body.splitlines()]
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("handzoo"):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{name}: {node.module}.{alias.name}"
