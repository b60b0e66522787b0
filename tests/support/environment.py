"""The settings that tests run with: production's rules, made-up secrets, and no way out."""

PUBLIC_BASE_URL = "https://dispatch.example.edu"
# Nobody listens on port 9: whatever a test does not replace fails at once instead of going out.
NOWHERE = "127.0.0.1:9"

BASE: dict[str, str] = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "tests-only-secret-key-of-enough-characters",
    "ENCRYPTION_KEYS": "dGVzdHMtb25seS1mZXJuZXQta2V5LTMyLWJ5dGVzISE=",
    "PUBLIC_BASE_URL": PUBLIC_BASE_URL,
    "TWILIO_API_BASE_URL": f"http://{NOWHERE}",
    "SMTP_URL": f"smtp://{NOWHERE}",
    "MAIL_FROM": "dispatch@example.edu",
    "SUPPORT_EMAIL": "support@example.edu",
    "LOG_LEVEL": "WARNING",
    "SECOND_FACTOR": "off",  # or nobody of support gets in who has none
}
