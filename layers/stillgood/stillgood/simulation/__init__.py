"""The whole loop in virtual time: worlds that send rows and labels, and a driver of the real steps. Left out of the
Lambda layer.
"""
