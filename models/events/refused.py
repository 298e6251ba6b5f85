"""Why can a record not be used?"""

from enum import StrEnum

#: A header that marks a record that stands where an event of somebody who was erased would be.
ERASED_MARK = ("vigie_erased", b"1")


class Reason(StrEnum):
    """The reasons a record becomes a dead letter. They are a metric's label and stored on the wire: never rename one."""

    NO_VALUE = "no_value"
    TOO_LARGE = "too_large"
    BAD_JSON = "bad_json"
    NOT_AN_OBJECT = "not_an_object"
    BAD_ENVELOPE = "bad_envelope"
    MISSING_ID = "missing_id"
    UNKNOWN_TYPE = "unknown_type"
    WRONG_TOPIC = "wrong_topic"
    NAIVE_TIME = "naive_time"
    BAD_TIME = "bad_time"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    INVALID_DATA = "invalid_data"
    BAD_AMOUNT = "bad_amount"
    UNKNOWN_CURRENCY = "unknown_currency"
    TOO_LATE = "too_late"
    UNDELIVERABLE = "undeliverable"
    ERASED = "erased"
    INTERNAL = "internal"


class Refused(ValueError):
    """A record that cannot be used: ``reason`` for machines, ``detail`` (what, where, found, accepted) for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
