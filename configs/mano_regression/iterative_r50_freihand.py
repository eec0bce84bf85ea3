# After HMR and FrankMocap: three rounds of error feedback; joints as continuous 6D rotations.
_base_ = './r50_freihand.py'

model = dict(mesh_head=dict(rotation='6d', iterations=3))
