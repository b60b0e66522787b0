"""How requests reach the application: one port, slow clients held apart, a pool for each kind.

gunicorn keeps the processes; this room says what they do. One of them, the *front*, accepts every
connection and reads whole requests, as slowly as their senders like. It hands each complete one,
with its socket, to the pool of its kind: answers to Twilio, reports from Twilio, everything else.
The processes of a pool run the application and take from their own pool only, so that nothing but
answers can keep an answer waiting.
"""
