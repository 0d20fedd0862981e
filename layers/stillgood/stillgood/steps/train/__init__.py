"""train: fit a candidate and publish it."""
