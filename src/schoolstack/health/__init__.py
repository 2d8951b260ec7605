"""How the school's servers and applications are: what servers say of themselves, in words for people."""

from schoolstack.health.report import STATES, Report, finding, server_entry

__all__ = ["STATES", "Report", "finding", "server_entry"]
