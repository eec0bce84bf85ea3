# CLIP-Hand S24 with all its parts: HFA, MHF, MTED, CM, PJ. The losses' weights are the paper's.
model = dict(
    type="HandMeshEstimator",
    backbone=dict(type="PAT", arch="S24"),
    neck=dict(type="HFA"),
    query_head=dict(type="MHF"),
    mesh_head=dict(type="MTED"),
    prior=dict(type="PJ"),
    guidance=dict(type="CM", text_encoder=dict(type="OpenCLIP", model="ViT-B-32")),
    loss=dict(type="HandLoss", vertices=1000.0, joints3d=1000.0, joints2d=100.0, heatmap=1.0),
)
