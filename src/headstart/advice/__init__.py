"""Situation -> strategy, network, plan and reasons; pure rules."""
