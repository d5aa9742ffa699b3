"""Situation -> strategy, network, plan and reasons; pure rules.

A `Situation` goes in, an advice with a plan comes out, without disk, network or torch. `rules.RULES` is read from the
top, and the first row that holds decides; the budget may then choose a strategy that freezes more, never one that
freezes less. Each strategy is estimated with the network and input size that suit it. The plan comes from the
presets, and its `reasons` end with their source. Steps outside the phases stand in `Plan.requires`; what does not
exist yet is refused before training. `workflow.advice_images` counts images by name, as `train` divides them, and
reads 64 of them; `--strategy auto` becomes a plan before anything else of `train` begins.
"""
