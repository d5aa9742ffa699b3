"""Pretrained networks: the catalog, their layer groups, heads, training views, and the bundle they end in."""
