"""Steps of progressive tuning: each trains more of the network, and is a candidate of its own.

`rule` decides whether the next step can pay, `cross_fit` trains and validates a step out of fold on all training
images, and `course` keeps what the steps so far have shown.
"""
