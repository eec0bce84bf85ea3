"""Tables of the methods' README files, made from the model index and never typed."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from handzoo.errors import ConfigError
from handzoo.plugins.manifest import MANIFEST_NAME, read_manifest
from handzoo.zoo.index import PACKAGE, ModelEntry, configs_root, read_metafile

BEGIN = "<!-- models: begin (tools/update_readmes.py) -->"
END = "<!-- models: end -->"
_COLUMNS = (
    # title, part of the entry, key, how it is written
    ("parameters", "metadata", "Parameters (M)", "{:.2f} M"),
    ("MACs", "metadata", "MACs (G)", "{:.2f} G"),
    ("published PA-MPJPE", "published", "PA-MPJPE", "{:g} mm"),
    ("published F@15", "published", "F@15", "{:.3f}"),
    ("measured PA-MPJPE", "measured", "PA-MPJPE", "{:.2f} mm"),
    ("measured F@15", "measured", "PA-F@15", "{:.3f}"),
)


def models_table(entries: Sequence[ModelEntry], folder: Path | None = None) -> str:
    """The models of one folder as a Markdown table, in the order of the metafile.

    Args:
        entries: the models.
        folder: where the README is, for links to the configs; None if it is beside them.
    """
    head = ["model", "what", *(column[0] for column in _COLUMNS), "config"]
    lines = [_row(head), _row(["---"] * len(head))]
    for entry in entries:
        cells = [f"`{entry.name}`", entry.summary]
        for _, part, key, form in _COLUMNS:
            figures = getattr(entry, part)
            value = figures.get(key, figures.get(key.removeprefix("PA-")))
            cells.append("-" if value is None else form.format(value))
        config = Path(entry.config)
        link = config.name if folder is None else config.relative_to(folder).as_posix()
        lines.append(_row([*cells, f"[{config.name}]({link})"]))
    return "\n".join(lines)


def overview_table(entries: Sequence[ModelEntry]) -> str:
    """All models of the zoo as a short Markdown table, with links to their methods' pages."""
    head = ["model", "method", "parameters", "MACs", "published PA-MPJPE", "published F@15"]
    lines = [_row(head), _row(["---"] * len(head))]
    for entry in entries:
        folder = Path(entry.config).parent
        if entry.plugin:  # a plugin's page lies beside its configs folder
            folder = folder.parent
        page = f"{folder.parent.name}/{folder.name}/README.md"
        cells = [f"`{entry.name}`", f"[{entry.method}]({page})"]
        for _, part, key, form in _COLUMNS[:4]:
            value = getattr(entry, part).get(key)
            cells.append("-" if value is None else form.format(value))
        lines.append(_row(cells))
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def updated(readme: str, table: str, path: Path) -> str:
    """The text of a README with its table replaced.

    Raises:
        ConfigError: the end of the table's place is not marked.
    """
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(readme):
        raise ConfigError(f"{path}: the table of models has no line {END}.")
    return pattern.sub(lambda _: f"{BEGIN}\n\n{table}\n\n{END}", readme)


def readmes() -> list[tuple[Path, str]]:
    """Every README with a table of models: the methods', the first-party plugins', the front."""
    found = []
    shown: list[ModelEntry] = []
    for metafile in sorted(configs_root().glob("*/metafile.yml")):
        entries = read_metafile(metafile)
        shown += entries
        found.append((metafile.with_name("README.md"), models_table(entries)))
    folder = PACKAGE.parent / "handzoo_plugins"
    for metafile in sorted(folder.glob("*/configs/metafile.yml")):
        plugin = metafile.parent.parent
        entries = read_metafile(metafile, read_manifest(plugin / MANIFEST_NAME).name)
        shown += entries
        found.append((plugin / "README.md", models_table(entries, plugin)))
    # The ablation's rows and the small models of plugins would drown the others.
    front = [entry for entry in shown if "table5" not in entry.name]
    found.append((PACKAGE.parent / "README.md", overview_table(front)))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Update every README beside a metafile; with --check only say which are out of date."""
    parser = argparse.ArgumentParser(prog="update_readmes", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 on drift")
    args = parser.parse_args(argv)
    stale = []
    for path, table in readmes():
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if BEGIN not in text:  # a method may write its own table
            continue
        new = updated(text, table, path)
        if new != text:
            stale.append(path)
            if not args.check:
                path.write_text(new, encoding="utf-8")
    for path in stale:
        print(f"{'out of date' if args.check else 'updated'}: {path}")
    return 1 if args.check and stale else 0
