"""Approvals: one module of rules, one of tests; a machine over all of them."""
