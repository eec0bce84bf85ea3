# CLIP-Hand-cls-S24 on RHD (table 4): joints without a mesh.
_base_ = [
    "../_base_/models/cliphand.py",
    "../_base_/datasets/rhd.py",
    "../_base_/schedules/adamw_120e.py",
    "../_base_/default_runtime.py",
]
