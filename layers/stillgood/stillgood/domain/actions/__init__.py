"""Predictions that are acted upon: who is left alone, what the outcomes of the others say, and what the action is
worth.
"""
