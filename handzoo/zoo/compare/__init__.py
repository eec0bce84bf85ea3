"""Several models on one benchmark: the same data, one run, one machine, one report.

=============  =============================================================================
module         idea
=============  =============================================================================
command        the command line
settings       what is the same for every model of a comparison
specs          ``NAME|CONFIG[=CHECKPOINT]`` -> the models that take part
presets        the paper's tables as lists of models
data           the one data set that all of them see
outcome        what is known of one model when it is done; a file, so that it is done once
measure        one model: evaluate, count
training       one model: train it within the budget
cost           training time per image; inference timed in turns
shared         what models with other joints or hand models can be compared on
figures        intervals and paired tests
gallery        best and worst samples, and the meshes of the report
markdown       results.md
report         report.html
run            all of it in order
=============  =============================================================================
"""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """``handzoo compare`` and ``tools/compare.py``; see :mod:`handzoo.zoo.compare.command`."""
    from handzoo.zoo.compare.command import main as run

    return run(argv)
