"""The long chaos test: load, faults, and a checker that trusts nothing but what it reads itself."""
