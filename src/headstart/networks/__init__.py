"""Pretrained networks with a new head: building, layer groups, cards and weights."""
