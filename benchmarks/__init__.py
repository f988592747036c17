"""Programs that measure the service beside what it is held against."""
