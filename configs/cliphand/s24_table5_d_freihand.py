# Table 5, row d: baseline + HFA + MHF, published PA-MPJPE 6.86 mm.
_base_ = "./s24_table5_c_freihand.py"
model = dict(
    query_head=dict(type="MHF"), mesh_head=dict(_delete_=True, type="TokenLinearHead")
)
