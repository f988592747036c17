"""Approval policies in requests, and the approvals file with the rules of each tenant."""
