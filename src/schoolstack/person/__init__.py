"""One person's data across all applications: shown, exported, erased."""
