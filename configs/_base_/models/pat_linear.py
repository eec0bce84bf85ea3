# Table 5's baseline: PAT S24, global pooling, one linear layer.
model = dict(
    type="HandMeshEstimator",
    backbone=dict(type="PAT", arch="S24"),
    mesh_head=dict(type="LinearMeshHead"),
    loss=dict(type="HandLoss", vertices=1000.0, joints3d=1000.0, joints2d=100.0, heatmap=1.0),
)
