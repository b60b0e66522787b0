"""After the answer: what was missed is taken in, and what came in is priced."""
