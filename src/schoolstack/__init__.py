"""Schoolstack: what people call. What Ansible calls is in ``plugins/``."""
