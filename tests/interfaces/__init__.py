"""Tests of the driving side."""
