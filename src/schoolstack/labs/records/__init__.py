"""What a lesson leaves for others: its questions, its page in a course, and what learners did."""
