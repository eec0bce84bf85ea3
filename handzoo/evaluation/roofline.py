"""Where a model's time goes, and what bounds it: arithmetic or memory traffic.

For each group of layers: multiply-accumulates and bytes of its operations, the least time that
the machine's measured peaks allow for them (the roofline), and the time that they take. Bytes are
what operations read and write, each from memory; maps that fit a cache cost less, so that a group
may be faster than its memory bound.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table
    from torch import nn

# Patterns of module names that form a group; numbered modules of one name are one group, and what
# belongs to no deeper group falls to the nearest one around it.
GROUPS = (
    r"backbone\.stem",
    r"backbone\.stages\.\d+",
    r"backbone\.net\.(conv|bn|act|layer|stem)\w*",
    r"backbone\.net\.stage\d+",
    r"backbone\.net\.(incre_modules|downsamp_modules|final_layer)",
    r"(backbone|neck|query_head|mesh_head|prior)",
    r"neck\.(climbs|reductions|block)",
    r"query_head\.\w+_branch",
    r"mesh_head\.(stages|blocks)\.\d+",
)


@dataclass
class Cost:
    """Of one group: operations, traffic, and the time that it took."""

    macs: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def bound(self, peak_macs: float, peak_bytes: float) -> tuple[float, str]:
        """Least seconds, and what sets them: 'arithmetic' or 'memory'."""
        arithmetic, memory = self.macs / peak_macs, self.bytes / peak_bytes
        return max(arithmetic, memory), "arithmetic" if arithmetic > memory else "memory"


def group_of(name: str) -> str | None:
    """The group that a module of this name opens, or None."""
    for pattern in GROUPS:
        if re.fullmatch(pattern, name):
            return re.sub(r"\.net(?=\.)", "", name)
    return None


@contextlib.contextmanager
def _entered(model: nn.Module, enter: Callable[[str], None], leave: Callable[[], None]) -> Iterator:
    """Call ``enter(group)`` and ``leave()`` around every module that opens a group."""
    handles = []
    for name, module in model.named_modules():
        group = group_of(name)
        if group is None or name.endswith(("losses", "guidance")):
            continue
        handles.append(module.register_forward_pre_hook(lambda *_, g=group: enter(g)))
        handles.append(module.register_forward_hook(lambda *_: leave()))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def layer_costs(model: nn.Module, image: Any, rounds: int = 5) -> dict[str, Cost]:
    """Operations, traffic and time of each group of a model.

    Args:
        model: an estimator in eval mode.
        image: (B, 3, H, W).
        rounds: timed calls; the fastest of each group counts, which other load disturbs least.

    Returns:
        Group -> cost, without what deeper groups account for.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves
    from torch.utils.flop_counter import flop_registry

    from handzoo.evaluation.complexity import unfused

    costs: dict[str, Cost] = {}
    stack = ["other"]

    def current() -> Cost:
        return costs.setdefault(stack[-1], Cost())

    class Counter(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            formula = flop_registry.get(func.overloadpacket)
            if formula is not None:
                current().macs += formula(*args, **(kwargs or {}), out_val=result) // 2
            read = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
            made = [t for t in tree_leaves(result) if isinstance(t, torch.Tensor)]
            storages = {t.untyped_storage().data_ptr() for t in read}
            in_place = func._schema.is_mutable
            if in_place or any(t.untyped_storage().data_ptr() not in storages for t in made):
                current().bytes += sum(t.numel() * t.element_size() for t in (*read, *made))
            return result

    with (
        torch.no_grad(),
        unfused(),
        _entered(model, stack.append, lambda: stack.pop() and None),
        Counter(),
    ):
        model(image, mode="tensor")

    marks = [time.perf_counter()]
    spent: dict[str, float] = {}

    def book() -> None:
        now = time.perf_counter()
        spent[stack[-1]] = spent.get(stack[-1], 0.0) + now - marks[0]
        marks[0] = now

    def enter(group: str) -> None:
        book()
        stack.append(group)

    def leave() -> None:
        book()
        stack.pop()

    best: dict[str, float] = {}
    with torch.inference_mode(), _entered(model, enter, leave):
        for index in range(rounds + 1):
            spent.clear()
            marks[0] = time.perf_counter()
            model(image, mode="tensor")
            book()
            if index:  # the first warms up
                for group, seconds in spent.items():
                    best[group] = min(seconds, best.get(group, seconds))
    for group, seconds in best.items():
        costs.setdefault(group, Cost()).seconds = seconds
    return costs


def machine_peaks(size: int = 1024, megabytes: int = 256, rounds: int = 8) -> tuple[float, float]:
    """What this machine reaches with torch's threads: MACs a second, bytes a second.

    Arithmetic is the faster of a matrix product and a 3x3 convolution, which different libraries
    compute.

    Args:
        size: of the square float32 matrices; the convolution has a quarter as many channels.
        megabytes: of the block that is copied; larger than caches.
        rounds: the fastest counts.
    """
    import torch

    a, b = torch.randn(size, size), torch.randn(size, size)
    channels, side = size // 4, 56
    image = torch.randn(1, channels, side, side)
    kernel = torch.randn(channels, channels, 3, 3)
    source = torch.ones(megabytes * 2**20 // 4)
    target = torch.empty_like(source)

    def fastest(call: Callable[[], Any]) -> float:
        seconds = []
        for _ in range(rounds + 1):
            begin = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - begin)
        return min(seconds)

    with torch.inference_mode():
        product = size**3 / fastest(lambda: torch.mm(a, b))
        convolved = fastest(lambda: torch.nn.functional.conv2d(image, kernel, padding=1))
        convolution = 9 * (channels * side) ** 2 / convolved
        copied = 2 * source.numel() * 4 / fastest(lambda: target.copy_(source))
    return max(product, convolution), copied


def roofline_table(name: str, costs: dict[str, Cost], peaks: tuple[float, float]) -> Table:
    """The costs as a table for the terminal."""
    from rich.table import Table

    title = f"{name}; peaks {peaks[0] / 1e9:.0f} GMAC/s, {peaks[1] / 1e9:.1f} GB/s"
    table = Table(title=title, title_justify="left")
    table.add_column("layers", no_wrap=True)
    for heading in ("MMAC", "MB", "MAC/byte", "least ms", "ms", "of peak", "bound by"):
        table.add_column(heading, justify="right")
    total, least_total = Cost(), 0.0
    for group, cost in costs.items():
        least, bound = cost.bound(*peaks)
        least_total += least
        total = Cost(
            total.macs + cost.macs, total.bytes + cost.bytes, total.seconds + cost.seconds
        )
        table.add_row(group, *_cells(cost, least), bound)
    table.add_section()
    table.add_row("total", *_cells(total, least_total), "")
    return table


def _cells(cost: Cost, least: float) -> list[str]:
    return [
        f"{cost.macs / 1e6:.0f}",
        f"{cost.bytes / 1e6:.1f}",
        f"{cost.macs / max(cost.bytes, 1):.1f}",
        f"{least * 1000:.1f}",
        f"{cost.seconds * 1000:.1f}",
        f"{least / cost.seconds:.0%}" if cost.seconds else "-",
    ]


def build_parser() -> argparse.ArgumentParser:
    """Arguments of tools/roofline.py."""
    parser = argparse.ArgumentParser(
        prog="roofline", description="Operations, bytes and time of a model, layer by layer (CPU)."
    )
    parser.add_argument("models", nargs="+", metavar="NAME|CONFIG", help="model name or config")
    parser.add_argument("--deploy", action="store_true", help="of the deployed form")
    parser.add_argument("--threads", type=int, help="CPU threads of torch; default: torch's choice")
    parser.add_argument("--rounds", type=int, default=5, help="timed calls; default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run tools/roofline.py. -> exit status."""
    arguments = build_parser().parse_args(argv)
    import torch
    from rich.console import Console

    from handzoo.engine.build import load_estimator
    from handzoo.engine.data_choice import model_input_size
    from handzoo.evaluation.files import write_json
    from handzoo.resources import collect_resources

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    console = Console()
    peaks = machine_peaks()
    figures = {"peak_macs_per_s": peaks[0], "peak_bytes_per_s": peaks[1], "models": {}}
    for item in arguments.models:
        with collect_resources():
            model, cfg = load_estimator(item)
        size = model_input_size(cfg)
        name = cfg.get("model_name") or Path(item).stem
        if arguments.deploy:
            model, name = model.deploy(image_size=size), f"{name} (deployed)"
        costs = layer_costs(model, torch.randn(1, 3, size, size), arguments.rounds)
        console.print(roofline_table(name, costs, peaks))
        figures["models"][name] = {group: vars(cost) for group, cost in costs.items()}
    if arguments.json:
        console.print(f"written: {write_json(arguments.json, figures)}")
    return 0
