"""Pinned upstream artefacts, seen from the command line."""
