"""Errors of the REST API, in the words of Twilio's error dictionary."""

from __future__ import annotations

from typing import Any

MESSAGES: dict[int, str] = {
    20001: "Invalid parameter",
    20003: "Authenticate",
    20008: "Resource not accessible with Test Account Credentials",
    20009: "Cannot delete this message because it is not complete.",
    20404: "The requested resource {path} was not found",
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    20503: "Service unavailable",
    21201: "No 'To' number is specified",
    21202: "Thanks for calling, but the number {to} is a premium or special number.",
    21205: "Url is not a valid URL: {url}",
    21208: "Timeout is not a valid number of seconds",
    21210: "The source phone number provided, {from_}, is not yet verified for your account.",
    21211: "The 'To' number {to} is not a valid phone number.",
    21212: "The 'From' number {from_} is not a valid phone number, shortcode, or alphanumeric "
    "sender ID.",
    21213: "No 'From' number is specified",
    21214: "'To' phone number cannot be reached",
    21215: "Account not authorized to call {to}. Perhaps you need to enable some international "
    "permissions.",
    21216: "Account not allowed to call {to}.",
    21217: "Phone number does not appear to be valid: {to}",
    21219: "The number {to} is unverified. Trial accounts may only make calls to verified numbers.",
    21220: "Call is not in-progress. Cannot redirect.",
    21234: "A machine detection parameter is out of its range.",
    21265: "The 'To' number {to} cannot be a Short Code",
    21266: "'To' and 'From' number cannot be the same: {to}",
    21402: "Invalid URL: {url}",
    21405: "Cannot set VoiceFallbackUrl without setting VoiceUrl",
    21406: "Cannot set SmsFallbackUrl without setting SmsUrl",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' "
    "number: {to}.",
    21421: "{to} is not a valid phone number.",
    21422: "Phone number {to} is not available.",
    21450: "Phone number {to} is already verified for your account.",
    21451: "Invalid area code.",
    21452: "No phone numbers found in the area code.",
    21481: "Invalid PageToken.",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The 'From' phone number {from_} is not a valid, message-capable Twilio phone number "
    "for this destination/account",
    21608: "The number {to} is unverified. Trial accounts cannot send messages to unverified "
    "numbers; verify {to} at twilio.com/user/account/phone-numbers/verified",
    21609: "The 'StatusCallback' URL {url} is not a valid URL.",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "The message From/To pair violates a destination rule.",
    21614: "'To' number is not a valid mobile number: {to}",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21620: "Invalid media URL(s)",
    21623: "Number of media files exceeds allowed limit",
    21624: "Invalid validity period value",
    21660: "Mismatch between the 'From' number {from_} and the account {account}",
    21701: "The Messaging Service does not exist.",
    21703: "The Messaging Service does not have a phone number available to send a message",
    21704: "The Messaging Service contains no phone numbers",
    21710: "Phone Number or Short Code is already in the Messaging Service.",
    21712: "Phone Number or Short Code is associated with another Messaging Service.",
    30400: "A message cannot be canceled and redacted in one request.",
    30409: "The message cannot be canceled any more.",
    32018: "The Twiml parameter is longer than 4000 characters.",
    35111: "SendAt must be given with ScheduleType.",
    35114: "SendAt must be more than 300 seconds from now.",
    35115: "SendAt must be at most 35 days from now.",
    35118: "MessagingServiceSid is required to schedule a message.",
}
STATUSES = {20003: 401, 20008: 403, 20404: 404, 20429: 429, 20500: 500, 20503: 503, 20009: 409}

DELIVERY: dict[int, str] = {
    11200: "HTTP retrieval failure",
    11751: "Media Message - Media exceeds messaging provider size limit",
    12300: "Invalid Content-Type",
    21610: "Attempt to send to unsubscribed recipient",
    30001: "Queue overflow",
    30002: "Account suspended",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    30032: "Toll-Free Number Has Not Been Verified",
    30034: "US A2P 10DLC - Message from an Unregistered Number",
}


class RestError(Exception):
    """An answer with Twilio's error body: code, message, more_info, status."""

    def __init__(self, code: int, status: int | None = None, **words: str) -> None:
        text = MESSAGES.get(code, "The request was refused (an error plan of the sandbox).")
        self.code = code
        self.status = status or STATUSES.get(code, 400)
        self.message = text.format_map(_Blank(words))
        super().__init__(f"{code} {self.message}")

    def body(self) -> dict[str, Any]:
        """The JSON that Twilio answers."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""
