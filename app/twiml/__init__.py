"""TwiML: data in, XML out. Knows no request, no database and no network."""
