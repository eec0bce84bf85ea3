"""``handzoo analyze-logs``: curves and summaries of training logs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from handzoo.errors import DataError, suggest


def read_scalars(path: str | Path) -> list[dict[str, float]]:
    """The rows that training wrote: one mapping per logged step.

    Args:
        path: ``scalars.json``, or a work directory, whose newest run is taken.

    Raises:
        DataError: there is no log, or a line of it is not JSON.
    """
    path = Path(path)
    if path.is_dir():
        found = sorted(path.glob("**/vis_data/scalars.json")) or sorted(path.glob("scalars.json"))
        if not found:
            raise DataError(f"{path}: holds no vis_data/scalars.json; was anything trained there?")
        path = found[-1]
    if not path.is_file():
        raise DataError(f"{path}: there is no such log.")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise DataError(f"{path}:{number}: is not JSON: {error}") from error
    return rows


def series(rows: list[dict[str, float]], key: str) -> tuple[list[float], list[float]]:
    """(steps, values) of one scalar.

    Raises:
        DataError: it was never logged; names the nearest.
    """
    chosen = [row for row in rows if key in row]
    if not chosen:
        names = sorted({name for row in rows for name in row})
        raise DataError(f"no {key!r} in the log. {suggest(key, names)} It has: {', '.join(names)}.")
    return [row.get("step", index) for index, row in enumerate(chosen)], [r[key] for r in chosen]


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table of the scalars, or draw curves."""
    parser = argparse.ArgumentParser(prog="handzoo analyze-logs", description=__doc__)
    parser.add_argument("logs", nargs="+", help="work directories or scalars.json files")
    parser.add_argument("--keys", nargs="+", default=[], help="which scalars; default: all")
    parser.add_argument("--out", metavar="FILE.html", help="draw the curves into a page")
    args = parser.parse_args(argv)
    runs = {log: read_scalars(log) for log in args.logs}
    if args.out:
        _draw(runs, args.keys or ["loss"], Path(args.out))
        print(f"wrote {args.out}")
        return 0
    from rich.console import Console
    from rich.table import Table

    for log, rows in runs.items():
        table = Table(title=log, title_justify="left")
        for column in ("scalar", "first", "last", "lowest", "highest", "rows"):
            table.add_column(column, justify="left" if column == "scalar" else "right")
        for key in args.keys or sorted({name for row in rows for name in row}):
            values = series(rows, key)[1]
            extremes = (values[0], values[-1], min(values), max(values))
            table.add_row(key, *(f"{value:.5g}" for value in extremes), str(len(values)))
        Console().print(table)
    return 0


def _draw(runs: dict[str, list[dict[str, float]]], keys: Sequence[str], out: Path) -> None:
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=len(keys), cols=1, subplot_titles=list(keys), shared_xaxes=True)
    for index, key in enumerate(keys, 1):
        for log, rows in runs.items():
            steps, values = series(rows, key)
            name = f"{Path(log).name} {key}"
            figure.add_trace(go.Scatter(x=steps, y=values, name=name), row=index, col=1)
    figure.update_layout(height=320 * len(keys), template="plotly_white")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.write_html(out, include_plotlyjs=True)
