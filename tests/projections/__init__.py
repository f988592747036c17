"""Documents from events, and the followers that keep them."""
