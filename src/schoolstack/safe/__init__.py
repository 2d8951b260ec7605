"""A school's secrets: where they are kept, which there are, and how one gets a new value."""

from schoolstack.safe.declared import Secret, of_school
from schoolstack.safe.store import PLACEHOLDER, Store

__all__ = ["PLACEHOLDER", "Secret", "Store", "of_school"]
