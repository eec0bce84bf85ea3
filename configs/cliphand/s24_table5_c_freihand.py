# Table 5, row c: baseline + HFA, published PA-MPJPE 7.13 mm.
_base_ = "./s24_table5_a_freihand.py"
model = dict(neck=dict(type="HFA"))
