"""Who is on duty, by the turns that people take."""
