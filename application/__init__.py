"""What the service can be asked to do: commands, their handlers, policies and the outbox."""
