"""Reference pages of the parts, made from the registries: arguments, shapes, source."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Sequence
from pathlib import Path

from handzoo.registry import REGISTRIES, HandRegistry, constructor_parameters

NOTE = "<!-- Written by tools/make_reference.py from the registries; do not edit. -->"
# What the page of a role says before its classes; the rest stands in the abstract class.
INTRODUCTIONS = {
    "estimator": "The registered top-level model: image batch in, `HandPrediction` out.",
    "backbone": "Image (B, 3, H, W) to four maps at strides 4, 8, 16 and 32.",
    "neck": "The backbone's maps to one high-resolution map (B, D, H/4, W/4).",
    "query_head": "Features to decoder queries (B, 1 + 21 + 195, C): camera, joints, vertices.",
    "mesh_head": "Queries and features to camera, joints and vertices.",
    "prior": "Refines a prediction with knowledge that is not in the image.",
    "guidance": "Shapes features in training; dropped at inference.",
    "text_encoder": "Frozen encoders of prompts and images.",
    "loss": "Prediction and targets to named, weighted scalars.",
    "hand_model": "Pose and shape to a mesh.",
    "dataset": "Images and annotations, all as `HandDataSample`.",
    "transform": "Steps of a data pipeline.",
    "metric": "Evaluators of MMEngine's loops.",
    "hook": "What happens between the steps of a run.",
    "prediction_filter": "Refines the predictions of a video by earlier frames.",
    "converter": "Released checkpoints of other code bases to HandZoo's.",
}


def part_page(role: str) -> str:
    """The Markdown page of one role: every class of the core with its arguments."""
    registry = REGISTRIES[role]
    lines = [NOTE, f"# {role}", "", INTRODUCTIONS[role], ""]
    for name, cls in core_classes(registry):
        lines += [f"## {name}", "", f"`{cls.__module__}.{cls.__qualname__}`", ""]
        source = getattr(cls, "source", "")
        if source:
            lines += [f"Source: {source}.", ""]
        lines += ["```text", (inspect.getdoc(cls) or "").strip(), "```", ""]
        parameters, _ = constructor_parameters(cls)
        if parameters:
            lines += ["| argument | default |", "|---|---|"]
            lines += [f"| `{key}` | {_default(value)} |" for key, value in parameters.items()]
            lines.append("")
    return "\n".join(lines)


def core_classes(registry: HandRegistry) -> list[tuple[str, type]]:
    """(name, class) of what HandZoo itself registers, sorted by name."""
    registry.import_from_location()
    return [
        (name, cls)
        for name, cls in sorted(registry.module_dict.items())
        if cls.__module__.startswith("handzoo.")
    ]


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return "required, or passed by the caller"
    return f"`{parameter.default!r}`".replace("|", "\\|")


def pages() -> dict[str, str]:
    """Every page by file name, the index included."""
    index = [NOTE, "# Reference of the parts", ""]
    found = {}
    for role, introduction in INTRODUCTIONS.items():
        found[f"{role}.md"] = part_page(role)
        names = ", ".join(name for name, _ in core_classes(REGISTRIES[role]))
        index += [f"- [{role}]({role}.md): {introduction} {names}."]
    found["README.md"] = "\n".join(index) + "\n"
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Write docs/reference; with --check only say which pages are out of date."""
    parser = argparse.ArgumentParser(prog="make_reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 on drift")
    parser.add_argument("--out", type=Path, default=Path("docs/reference"))
    args = parser.parse_args(argv)
    stale = []
    for filename, text in pages().items():
        path = args.out / filename
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(str(path))
        if not args.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in stale:
        print(("out of date: " if args.check else "wrote ") + path)
    return 1 if args.check and stale else 0
