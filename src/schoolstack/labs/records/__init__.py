"""What a lesson leaves for others: its questions, and its page in a course."""
