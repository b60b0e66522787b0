"""How Dispatch is installed on a machine of one's own: docs/install.md."""
