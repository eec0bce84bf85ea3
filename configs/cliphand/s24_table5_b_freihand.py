# Table 5, row b: baseline + MTED with learned queries, published PA-MPJPE 7.06 mm.
_base_ = "./s24_table5_a_freihand.py"
model = dict(
    query_head=dict(type="LearnedQueries"), mesh_head=dict(_delete_=True, type="MTED")
)
