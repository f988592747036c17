"""The driving adapters: REST, messages, cron and the command line."""
