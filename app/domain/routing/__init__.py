"""What a number does with what comes in."""
