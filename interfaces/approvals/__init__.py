"""Approvals as people write them: policies in requests and files, and what a tenant has laid down."""
