"""The paper's tables as lists of models.

``table3`` is the comparison with other systems on FreiHAND's protocol: the models of the zoo of
which the index has published figures. ``table5`` is the ablation, rows a to g. Published figures
stand in the index (``metafile.yml``), and the report shows them beside the measured ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from handzoo.errors import ConfigError, suggest
from handzoo.zoo.compare.specs import split_argument
from handzoo.zoo.index import entries

PRESETS: dict[str, str] = {
    "table3": "the models of the zoo with published figures on FreiHAND (table 3)",
    "table5": "the ablation of CLIP-Hand, rows a to g (table 5)",
}
_ABLATION = re.compile(r"^cliphand_s24_table5_[a-g]_freihand$")


def preset_models(name: str) -> list[str]:
    """Names of a preset's models, in the table's order.

    Raises:
        ConfigError: there is no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(
            f"--preset {name}: unknown. {suggest(name, PRESETS)} There are: {', '.join(PRESETS)}."
        )
    core = [entry for entry in entries() if not entry.plugin]
    if name == "table5":
        return [entry.name for entry in core if _ABLATION.match(entry.name)]
    rows = [
        entry
        for entry in core
        if entry.published and entry.dataset == "FreiHAND" and not _ABLATION.match(entry.name)
    ]
    # The paper's own models come first: they are what the others are compared with.
    rows.sort(key=lambda entry: entry.method != "CLIP-Hand")
    # Of CLIP-Hand's models the best one is the reference.
    own = [entry.name for entry in rows if entry.method == "CLIP-Hand"]
    return [*reversed(own), *(entry.name for entry in rows if entry.method != "CLIP-Hand")]


def with_preset(preset: str | None, arguments: Sequence[str]) -> list[str]:
    """The preset's models and those that were named; ``NAME=CHECKPOINT`` of a preset's model
    gives that row its weights.
    """
    if preset is None:
        return list(arguments)
    given = {split_argument(argument)[0]: argument for argument in arguments}
    rows = [given.pop(name, name) for name in preset_models(preset)]
    return [*rows, *given.values()]
