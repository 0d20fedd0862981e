"""The verbs, one file each: ``add`` registers it, ``run`` does it. ``main.py`` imports only the one that is asked
for.
"""
