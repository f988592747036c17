"""The driving side: REST, messages, cron and the command line."""
