# CLIP-Hand-cls-S12: 30.9 M parameters and 33.7 GMACs at inference.
_base_ = "./s24_freihand.py"
model = dict(backbone=dict(arch="S12"))
