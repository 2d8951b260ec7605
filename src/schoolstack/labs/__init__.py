"""Lessons: Molecule scenarios with a ``lab.yml``, on the test hosts of ``schoolstack.hosts``."""
