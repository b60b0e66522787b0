"""What both ways through the house share."""
