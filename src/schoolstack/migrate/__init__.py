"""Bring people's files from Microsoft 365, Google Workspace or a Takeout archive into the school's Nextcloud.

``settings`` and ``mapping`` say whose files go where, and refuse what cannot be before anything is sent;
``decide`` compares a source with its target; ``mover`` sends, one person after the other, with rclone, and
can be killed at any moment; ``receipt`` says what became of each file. Nothing at a source is ever changed.
"""
