"""Run tasks host by host in step, through one Python process per host.

Mitogen keeps an interpreter open on the host, which makes a no-change run several times faster
than one SSH exchange and one interpreter per task. Where Mitogen is not installed (a system-wide
Ansible), the ordinary linear strategy does the same work more slowly.
"""

from __future__ import annotations

from ansible.plugins.strategy.linear import StrategyModule as Linear

DOCUMENTATION = """
    name: school_linear
    short_description: the linear strategy, over Mitogen where it is installed
    description:
        - Behaves as C(linear); only the transport differs.
    author: Schoolstack contributors
"""

try:
    from ansible_mitogen import affinity
    from ansible_mitogen.strategy import StrategyMixin
except ImportError:

    class StrategyModule(Linear):
        """The linear strategy, unchanged."""

else:
    # Mitogen would tie all work of every run to the last of two processors, and leave the other idle.
    affinity.policy = affinity.Policy()

    class StrategyModule(StrategyMixin, Linear):
        """The linear strategy over Mitogen."""
