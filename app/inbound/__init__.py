"""Twilio calls us: texts, calls, and what became of our own."""

from flask import Blueprint

from app.inbound import our_calls, sms, status, steps, verification, voice, voicemail

blueprints: tuple[Blueprint, ...] = (
    sms.blueprint,
    status.blueprint,
    voice.blueprint,
    voice.reports,
    verification.blueprint,
    steps.blueprint,
    our_calls.blueprint,
    our_calls.reports,
    voicemail.blueprint,
    voicemail.told,
)
