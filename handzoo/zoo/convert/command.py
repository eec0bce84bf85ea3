"""``handzoo convert METHOD IN OUT``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Convert a checkpoint of a method's authors and print what became of its tensors.

    Args:
        argv: arguments without the program's name.

    Returns:
        0; what goes wrong is raised as a HandZooError.
    """
    parser = argparse.ArgumentParser(
        prog="handzoo convert",
        description="Turn a checkpoint that a method's authors published into one of HandZoo. The "
        "file is read weights-only: no code in it is run.",
    )
    parser.add_argument("method", help="metro, fastmetro, or a converter of a plugin")
    parser.add_argument("source", metavar="in", help="the authors' file")
    parser.add_argument("output", metavar="out", help="file to write: .pth or .safetensors")
    parser.add_argument("--config", help="model that it has to be, such as metro_h64_freihand")
    parser.add_argument("--report", help="JSON account of every tensor; default: beside OUT")
    parser.add_argument("--verbose", action="store_true", help="print a line for every tensor")
    arguments = parser.parse_args(argv)

    from rich.console import Console

    from handzoo.zoo.convert.run import convert

    report = convert(
        arguments.method, arguments.source, arguments.output, arguments.config, arguments.report
    )
    console = Console()
    console.print(report.table(every_tensor=arguments.verbose))
    console.print(f"wrote {arguments.output} (sha256 {report.output_sha256[:16]}...)")
    console.print(f"check it: handzoo test {report.config} {arguments.output}", highlight=False)
    return 0
