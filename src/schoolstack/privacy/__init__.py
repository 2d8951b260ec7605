"""Where data is, of whom, and where anything leads outside: out of what roles and records declare."""
