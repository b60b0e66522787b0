"""The second factor of people who sign in with a password of Dispatch's own."""
