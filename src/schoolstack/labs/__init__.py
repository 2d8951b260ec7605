"""Lessons: a Molecule scenario with a ``lab.yml``. The test hosts they run on are ``schoolstack.hosts.lab``'s."""
