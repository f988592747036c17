"""Real processes and connections, broken on purpose: nothing that was acknowledged may be lost."""
