"""``school lab serve``: a page for each seat, and one for the trainer."""
