"""``stillgood``, the command: one file a verb. Each imports what it needs when it runs, so that none waits for
another's libraries.
"""
