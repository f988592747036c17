"""Tests of the harness that measures."""
