"""Who is told: events, endpoints, deliveries, callbacks, mails of our own."""
