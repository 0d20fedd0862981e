"""The worker is a program of its own, which imports its neighbours as a script does; it is not collected for
doctests.
"""

collect_ignore = ["worker.py"]
