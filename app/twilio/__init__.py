"""The seam to Twilio: signature check, segments, statuses, error codes and the REST client."""
