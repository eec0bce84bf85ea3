"""The small CLIP-Hand with a head that answers the mean hand."""

_base_ = "handzoo::cliphand/tiny_sample.py"

model = dict(mesh_head=dict(_delete_=True, type="hz_good/MeanHand"))
