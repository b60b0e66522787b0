"""What is not at Twilio as it has to be, in words."""

from __future__ import annotations

from dataclasses import dataclass

MISSING = "number"
CALLER_ID = "caller ID"
POOL = "pool"
UNCHECKED = "unchecked"
REFUSED = "refused"


@dataclass(frozen=True)
class Difference:
    """One thing that is not at Twilio as it has to be."""

    client: str
    address: str
    """The number, or the messaging service's SID."""
    setting: str
    found: str
    wanted: str

    @property
    def is_for_a_person(self) -> bool:
        """Whether nothing is known to be wrong: not asked, or a choice that may be meant."""
        return self.setting == UNCHECKED or (self.setting == POOL and not self.wanted)

    @property
    def sentence(self) -> str:
        """Say it for people."""
        if self.setting == MISSING:
            return f"{self.address} ({self.client}) is not in the Twilio account any more."
        if self.setting == CALLER_ID:
            return (
                f"{self.address} ({self.client}) is not verified as a caller ID of the Twilio"
                " account, or not any more; no call goes out from it until it is verified again."
            )
        if self.setting == POOL and self.wanted:
            return f"{self.address} ({self.client}) is not in the service {self.wanted} at Twilio."
        if self.setting == POOL:
            return (
                f"{self.address} ({self.client}) is in the messaging service {self.found} at"
                " Twilio, whose inbound URL is called in place of the number's. Take it out there,"
                " or put it into a service of the client's."
            )
        if self.setting == UNCHECKED:
            return f"{self.address} ({self.client}) could not be checked: {self.found.rstrip('.')}."
        if self.setting == REFUSED:
            return (
                f"{self.address} ({self.client}) could not be put right: {self.found.rstrip('.')}."
            )
        found = f"“{self.found}”" if self.found else "not set"
        return (
            f"{self.address} ({self.client}): {self.setting} is {found}; it must be"
            f" {f'“{self.wanted}”' if self.wanted else 'empty'}."
        )
