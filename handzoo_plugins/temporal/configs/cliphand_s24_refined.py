# CLIP-Hand-cls-S24 whose videos are refined by CausalRefiner; takes CLIP-Hand's weights unchanged.
_base_ = "handzoo::cliphand/s24_freihand.py"

prediction_filter = dict(type="temporal/CausalRefiner")
