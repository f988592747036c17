"""The command line, as an operator sees it."""
