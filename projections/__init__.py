"""What can be asked of the service: documents, derived from the log and from nothing else."""
