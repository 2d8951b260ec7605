"""The demo school on a lab host: everything real, nothing that anyone will miss."""
