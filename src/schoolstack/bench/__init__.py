"""``school bench``: measure what the project promises about speed and memory, and write the report.

Each part stands alone in a module of its own with ``TITLE`` and ``measure(bench)``.
"""
