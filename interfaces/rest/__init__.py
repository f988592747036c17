"""REST: Starlette routes that turn requests into commands and queries into documents."""
