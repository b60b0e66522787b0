"""What Dispatch asks of Twilio about numbers, caller IDs and messaging services."""

from collections.abc import Sequence
from typing import Any, Literal

from app.twilio.asking import Asking, given, settings_of
from app.twilio.results import AvailableNumber, Number, Service, ServiceNumber, Verification

Capability = Literal["sms", "mms", "voice"]
NumberType = Literal["local", "toll_free", "mobile"]


class NumberRequests(Asking):
    """The requests about numbers; each raises NotSent, Refused or Uncertain."""

    # Numbers

    def search_numbers(
        self,
        *,
        area_code: str | None = None,
        contains: str | None = None,
        locality: str | None = None,
        region: str | None = None,
        kind: NumberType = "local",
        country: str = "US",
        limit: int = 20,
        capabilities: Sequence[Capability] = ("sms", "voice"),
    ) -> list[AvailableNumber]:
        """Return numbers for sale that have all of `capabilities`."""
        parameters = given(
            area_code=area_code, contains=contains, in_locality=locality, in_region=region
        ) | {f"{one}_enabled": True for one in capabilities}
        found = self.ask_for_list(
            lambda sdk: getattr(sdk.available_phone_numbers(country), kind).stream(
                limit=limit, page_size=limit, **parameters
            ),
            AvailableNumber.of,
        )
        return list(found)

    def buy_number(self, phone_number: str, **settings: str) -> Number:
        """Buy `phone_number` and set it up; `settings` are the names of `Number`'s fields."""
        parameters = {"phone_number": phone_number, **settings_of(Number, settings)}
        return self.ask(lambda sdk: Number.of(sdk.incoming_phone_numbers.create(**parameters)))

    def list_numbers(self, phone_number: str | None = None, limit: int = 1000) -> list[Number]:
        """Return the account's numbers, or the one given, with their webhooks."""
        parameters = given(phone_number=phone_number)
        found = self.ask_for_list(
            lambda sdk: sdk.incoming_phone_numbers.stream(limit=limit, page_size=100, **parameters),
            Number.of,
        )
        return list(found)

    def fetch_number(self, sid: str) -> Number:
        """Return one number of the account."""
        return self.ask(lambda sdk: Number.of(sdk.incoming_phone_numbers(sid).fetch()))

    def update_number(self, sid: str, **settings: str) -> Number:
        """Change the number's webhooks; `settings` are the names of `Number`'s fields."""
        parameters = settings_of(Number, settings)
        return self.ask(lambda sdk: Number.of(sdk.incoming_phone_numbers(sid).update(**parameters)))

    def release_number(self, sid: str) -> None:
        """Give the number back to Twilio, at once and for good."""
        self.ask(lambda sdk: sdk.incoming_phone_numbers(sid).delete())

    def verify_caller_id(
        self,
        phone_number: str,
        *,
        friendly_name: str | None = None,
        status_callback: str | None = None,
        call_delay: int | None = None,
        extension: str | None = None,
    ) -> Verification:
        """Have Twilio call `phone_number`, where a person types the code that this returns.

        `call_delay` are seconds (0 to 60) before the call.
        """
        parameters = given(
            friendly_name=friendly_name,
            status_callback=status_callback,
            call_delay=call_delay,
            extension=extension,
        )
        return self.ask(
            lambda sdk: Verification.of(
                sdk.validation_requests.create(phone_number=phone_number, **parameters)
            )
        )

    def list_caller_ids(self) -> list[str]:
        """Return the phones that are verified with the account as caller IDs, all of them."""
        found = self.ask_for_list(
            lambda sdk: sdk.outgoing_caller_ids.stream(page_size=100),
            lambda one: str(one.phone_number),
        )
        return list(found)

    # Messaging services

    def create_service(self, friendly_name: str, **settings: Any) -> Service:
        """Create a messaging service; `settings` are the names of `Service`'s fields."""
        parameters = {"friendly_name": friendly_name, **settings_of(Service, settings)}
        return self.ask(lambda sdk: Service.of(sdk.messaging.v1.services.create(**parameters)))

    def fetch_service(self, sid: str) -> Service:
        """Return one messaging service."""
        return self.ask(lambda sdk: Service.of(sdk.messaging.v1.services(sid).fetch()))

    def update_service(self, sid: str, **settings: Any) -> Service:
        """Change a messaging service; `settings` are the names of `Service`'s fields."""
        parameters = settings_of(Service, settings)
        return self.ask(lambda sdk: Service.of(sdk.messaging.v1.services(sid).update(**parameters)))

    def list_services(self, limit: int = 1000) -> list[Service]:
        """Return the account's messaging services."""
        found = self.ask_for_list(
            lambda sdk: sdk.messaging.v1.services.stream(limit=limit, page_size=100), Service.of
        )
        return list(found)

    def add_number_to_service(self, service_sid: str, number_sid: str) -> ServiceNumber:
        """Put a number of the account into the sender pool of a service."""
        return self.ask(
            lambda sdk: ServiceNumber.of(
                sdk.messaging.v1.services(service_sid).phone_numbers.create(
                    phone_number_sid=number_sid
                )
            )
        )

    def list_service_numbers(self, service_sid: str, limit: int = 400) -> list[ServiceNumber]:
        """Return the numbers in the sender pool of a service."""
        found = self.ask_for_list(
            lambda sdk: sdk.messaging.v1.services(service_sid).phone_numbers.stream(
                limit=limit, page_size=100
            ),
            ServiceNumber.of,
        )
        return list(found)
