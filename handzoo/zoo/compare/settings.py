"""What is the same for every model of a comparison."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from handzoo.errors import ConfigError


@dataclass(frozen=True)
class Budget:
    """How long every model is trained.

    Attributes:
        amount: of ``unit``.
        unit: ``epochs`` or ``iterations``.
    """

    amount: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``3``, ``3e``, ``3 epochs``, ``200it`` or ``200 iterations``.

        Raises:
            ConfigError: anything else.
        """
        found = re.fullmatch(r"(\d+)\s*(|e|epochs?|it|iters?|iterations?)", text.strip().lower())
        if found is None or int(found[1]) == 0:
            raise ConfigError(
                f"--budget {text!r}: write a number of epochs, such as 3, or of iterations, such "
                "as 200it."
            )
        unit = "iterations" if found[2].startswith("it") else "epochs"
        return cls(int(found[1]), unit)

    def __str__(self) -> str:
        unit = self.unit[:-1] if self.amount == 1 else self.unit
        return f"{self.amount} {unit}"


@dataclass(frozen=True)
class Settings:
    """One comparison's conditions; every field but those of the clock can change figures.

    Attributes:
        out: folder of the comparison.
        dataset: data set name or config whose test data are used; None takes the first model's.
        limit: evaluate on so many samples, evenly spread over the data; None for all.
        budget: train each model first; None evaluates what is there.
        trials: training runs with the seeds ``seed``, ``seed + 1``, ...; their figures are
            averaged.
        train_batch_size: of the training with a budget; None keeps each config's own, or the
            first model's where the budget counts iterations.
        batch_size: of the evaluation; None keeps each config's.
        latency_batch_size: images a timed call.
        rounds: timed calls of each model; 0 leaves times out.
        train_steps: timed training steps; 0 leaves them out.
        device: such as ``cpu`` or ``cuda:0``.
        deploy: also time each model after ``model.deploy()``.
        seed: of initialisation, training and bootstrap.
        resamples: of the bootstrap.
        confidence: of the intervals.
        allow_random: evaluate models without weights.
        require_real: refuse stand-ins.
        samples: best, worst and most disputed samples of the report, of each kind.
        cfg_options: overrides for every config.
        plugins: modules or paths of plugins that are not installed.
    """

    out: Path
    dataset: str | None = None
    limit: int | None = None
    budget: Budget | None = None
    trials: int = 1
    train_batch_size: int | None = None
    batch_size: int | None = None
    latency_batch_size: int = 1
    rounds: int = 20
    train_steps: int = 3
    device: str = "cpu"
    deploy: bool = False
    seed: int = 0
    resamples: int = 10_000
    confidence: float = 0.95
    allow_random: bool = False
    require_real: bool = False
    samples: int = 3
    cfg_options: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lowest = {
            "trials": 1, "limit": 2, "train_batch_size": 1, "batch_size": 1,
            "latency_batch_size": 1, "rounds": 0, "train_steps": 0, "samples": 0,
            "resamples": 100,
        }  # fmt: skip
        for name, least in lowest.items():
            value = getattr(self, name)
            if value is not None and value < least:
                option = "--" + name.replace("_", "-")
                raise ConfigError(f"{option}: must be {least} or more, got {value}.")
        if self.trials > 1 and self.budget is None:
            raise ConfigError(
                "--trials: several trials are several trainings, and without --budget nothing is "
                "trained. Add --budget EPOCHS."
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "budget": str(self.budget) if self.budget else None}
