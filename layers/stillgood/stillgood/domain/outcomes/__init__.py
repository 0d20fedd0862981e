"""What became of predictions: labels joined with captured rows, what silence means, and how far the labels can be
trusted.
"""
