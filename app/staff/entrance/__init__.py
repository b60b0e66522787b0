"""Coming in: sign-in, sessions, invitations, accounts."""
