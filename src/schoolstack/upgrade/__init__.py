"""From one version of an application to another: which steps, what to know before, and what is refused."""

from schoolstack.upgrade.plan import Plan, Room, Step, check_versions, make_plan, newer, show

__all__ = ["Plan", "Room", "Step", "check_versions", "make_plan", "newer", "show"]
