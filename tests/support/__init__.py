"""What the tests of every room share. Nothing in here imports what it helps to test."""
