"""What a dataset holds: hands, poses, views, occlusion and edges, as pandas tables and one page of plots.

`collect` measures samples of any reader, `tables` sums them up, `page` draws them.
"""
