# CLIP-Hand-cls-S24 whose videos are filtered by OneEuro; takes CLIP-Hand's weights as they are.
_base_ = "handzoo::cliphand/s24_freihand.py"

prediction_filter = dict(type="temporal/OneEuro", min_cutoff=1.0, beta=10.0)
