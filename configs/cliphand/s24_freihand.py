# CLIP-Hand-cls-S24: 40.5 M parameters and 35.3 GMACs at inference.
_base_ = [
    "../_base_/models/cliphand.py",
    "../_base_/datasets/freihand.py",
    "../_base_/schedules/adamw_120e.py",
    "../_base_/default_runtime.py",
]
