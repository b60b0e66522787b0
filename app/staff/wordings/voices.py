"""The voices and languages that staff choose from for what callers hear."""

from __future__ import annotations

VOICES = {
    "": ("Twilio's own voice", "en-US"),
    "Polly.Joanna": ("Joanna, US English", "en-US"),
    "Polly.Matthew": ("Matthew, US English", "en-US"),
    "Polly.Amy": ("Amy, British English", "en-GB"),
    "Polly.Lupe": ("Lupe, US Spanish", "es-US"),
    "Polly.Mia": ("Mia, Mexican Spanish", "es-MX"),
    "Polly.Zhiyu": ("Zhiyu, Chinese", "cmn-CN"),
    "man": ("Basic, male", "en-US"),
    "woman": ("Basic, female", "en-US"),
}
"""Twilio's names of voices, each with a label and the language it speaks (Twilio, "TwiML: Say",
voices and languages)."""
LANGUAGES = {
    "": "As the voice",
    "en-US": "English (US)",
    "en-GB": "English (UK)",
    "es-US": "Spanish (US)",
    "es-MX": "Spanish (Mexico)",
    "fr-FR": "French",
    "de-DE": "German",
    "cmn-CN": "Chinese",
}
