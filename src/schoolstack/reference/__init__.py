"""The reference under ``docs/reference``: written from argument specs and declarations, never by hand."""
