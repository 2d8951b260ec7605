"""Test hosts: throwaway Debian machines on this computer, reached over SSH like a school's own server.

Only this package knows how they are made (systemd-nspawn on overlay layers over one read-only image).
Everyone else uses :class:`schoolstack.hosts.lab.Lab` or ``school host``.
"""
