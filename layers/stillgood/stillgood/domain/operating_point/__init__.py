"""Where a score becomes a decision: the objective, and the calibration and threshold that keep it while the population
moves.
"""
