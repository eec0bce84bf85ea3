# FastMETRO-M, HRNet-W64, FreiHAND.
_base_ = './l_h64_freihand.py'

model = dict(mesh_head=dict(num_layers=2))
