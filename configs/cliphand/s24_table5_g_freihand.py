# Table 5, row g: baseline + HFA + MHF + MTED + CM + PJ, published PA-MPJPE 6.32 mm. This is S24.
_base_ = "./s24_table5_f_freihand.py"
model = dict(prior=dict(type="PJ"))
