"""Mails to us: what came back, and answers to texts that were forwarded by mail.

They come by LMTP from a mail server that hands us what is for our addresses, or are fetched by IMAP
from a mailbox of our own; ``MAIL_IN_URL`` says which. What they are about stands in the address
(:mod:`app.domain.mail_tags`), never in what anybody could write into them.
"""
