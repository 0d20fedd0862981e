"""A rehearsal: your own dated history played through the real loop, policy by policy, before anything is trusted to
it.
"""
