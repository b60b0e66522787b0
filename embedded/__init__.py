"""Real servers without an installation: Valkey and PostgreSQL from wheels, for demo and tests.

Nothing in here is needed in production, where `DATABASE_URL` and `REDIS_URL` name servers that
somebody looks after. The package knows the application only by its commands and its settings.
"""
