"""The composition root: one module per Lambda, so that none imports what another needs. Built once per process, on
first use.
"""
