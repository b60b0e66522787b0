"""The whole of Dispatch under everything at once, beside a naive stack."""
