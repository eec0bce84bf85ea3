"""Configs of models that are so small that a whole comparison takes seconds."""

from __future__ import annotations

from pathlib import Path

_SMALL = """
_base_ = "handzoo::cliphand/tiny_sample.py"
image_size = {size}
load = [
    dict(type="LoadHandImage"),
    dict(type="BuildPrompt", mode="final"),
    dict(type="HandCrop", policy="fixed", size=180),
]
pack = dict(type="PackHandInputs", meta_keys=("hand_scale",))
train_pipeline = [*load, dict(type="RandomHandAffine", size={size}), pack]
test_pipeline = [*load, dict(type="HandAffine", size={size}), pack]
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False,
                        dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False,
                      dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type="HandMetric", input_size={size})
test_evaluator = val_evaluator
"""

_MTED = """
model = dict(
    backbone=dict(depths=(1, 1, 1, 1), widths=(32, 32, 32, 32)),
    neck=dict(out_channels=32),
    query_head=dict(channels=16, num_blocks=1, memory_tokens={tokens}),
    mesh_head=dict(channels=(16, 16), feedforward=(16, 16)),
    guidance=None,
    prior=None,
    loss=dict(image_size={size}),
)
"""

_LINEAR = """
model = dict(
    backbone=dict(depths=(1, 1, 1, 1), widths=(32, 32, 32, 32)),
    neck=None,
    query_head=None,
    mesh_head=dict(_delete_=True, type="{head}"),
    guidance=None,
    prior=None,
    loss=dict(image_size={size}, heatmap=0.0),
)
"""


def write_config(
    folder: Path, name: str, linear: bool = False, size: int = 64, head: str = "LinearMeshHead",
    more: str = "",
) -> Path:  # fmt: skip
    """A config file; ``linear`` takes the linear mesh head instead of CLIP-Hand's."""
    text = (_SMALL + (_LINEAR if linear else _MTED)).format(
        size=size, tokens=(size // 32) ** 2, head=head
    )
    path = folder / f"{name}.py"
    path.write_text(text + more, encoding="utf-8")
    return path
