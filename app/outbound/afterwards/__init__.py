"""After the POST: reports, what was never heard of, and what a dead process left behind."""
