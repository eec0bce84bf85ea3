# Table 5, row e: baseline + HFA + MHF + MTED, published PA-MPJPE 6.74 mm.
_base_ = "./s24_table5_d_freihand.py"
model = dict(mesh_head=dict(_delete_=True, type="MTED"))
