"""What people and programs write down of a client's things: its shape, and saving it."""
