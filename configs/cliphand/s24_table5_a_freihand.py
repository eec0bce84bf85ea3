# Table 5, row a: baseline (S24), published PA-MPJPE 7.24 mm.
_base_ = [
    "../_base_/models/pat_linear.py",
    "../_base_/datasets/freihand.py",
    "../_base_/schedules/adamw_120e.py",
    "../_base_/default_runtime.py",
]
