"""Tests of approvals as people write them."""
