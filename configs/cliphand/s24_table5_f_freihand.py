# Table 5, row f: baseline + HFA + MHF + MTED + CM, published PA-MPJPE 6.58 mm.
_base_ = "./s24_table5_e_freihand.py"
model = dict(guidance=dict(type="CM", text_encoder=dict(type="OpenCLIP", model="ViT-B-32")))
