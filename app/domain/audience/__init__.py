"""To whom: populations, suppression lists, who was written to last."""
