"""A suspected breach: evidence frozen, a checklist with its deadline, a draft of the notice."""
