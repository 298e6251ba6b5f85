"""What does an event say of a customer's purchases?

``customer.invoiced`` is a purchase, below nothing a refund; ``customer.churned`` says that the customer has left. Renewals say
what was agreed, not what was billed: they are no purchases. Days are those of the business time zone, amounts in the business
currency at the rate of their time.
"""

from typing import Any

from msgspec import UNSET

from models.business import Business
from models.customers.purchases import Purchases
from models.events.customers import CustomerChurned, CustomerInvoiced
from models.money import UnknownRate


def take(customer: Purchases, event: Any, at: int, business: Business) -> bool:
    """Take an event in, which happened ``at`` (ms); return whether it changed what is known of the customer."""
    day = business.calendar.day(at)
    if isinstance(event, CustomerInvoiced):
        billed = event.data
        try:
            amount = business.rates.convert(billed.amount, billed.currency, at)
        except UnknownRate:  # refused when decoded, unless the rate has gone since
            return False
        new = customer.add(day, amount, event.id)
    elif isinstance(event, CustomerChurned):
        new = day > customer.left
        customer.left = max(day, customer.left)
    else:
        return False
    name = event.data.name
    if new and name is not UNSET and name:
        customer.name = name
    return new
