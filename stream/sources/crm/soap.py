"""What does a Salesforce outbound message say, read without doing what its XML might ask for?

No document type, no entities, no processing instructions: none of them is needed, and each is a way to make a parser read
files, call addresses or fill the memory. Depth, elements and text are bounded.
"""

import re
from typing import NamedTuple
from xml.parsers import expat

from stream.sources.crm.base import Doubt, NotAuthentic

OUTBOUND = "http://soap.sforce.com/2005/09/outbound"
_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_DEPTH, _ELEMENTS, _NOTIFICATIONS = 16, 50_000, 100
#: So many elements are read before it is known who sent the message.
_BEFORE = 32

#: What Salesforce takes for "have it", or for "send it again".
ACK = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    f'<soapenv:Envelope xmlns:soapenv="{_ENVELOPE}"><soapenv:Body>'
    f'<notificationsResponse xmlns="{OUTBOUND}"><Ack>%s</Ack></notificationsResponse>'
    "</soapenv:Body></soapenv:Envelope>"
)
_SESSION = re.compile(rb"(<(?:[\w.-]+:)?SessionId\b[^>]*>)[^<]*", re.IGNORECASE)


def answer(accepted: bool) -> tuple[str, bytes]:
    """Return the content type and body of the answer."""
    return "text/xml; charset=utf-8", (ACK % ("true" if accepted else "false")).encode()


def without_session(body: bytes) -> bytes:
    """Return the message without the session id, with which anybody could act as the user."""
    return _SESSION.sub(rb"\1", body)


class SoapNotification(NamedTuple):
    """One changed record: the notification's own id (the same when it is sent again), the object's type, and its fields."""

    id: str
    object: str
    fields: dict[str, str | None]


class SoapMessage(NamedTuple):
    """One outbound message."""

    organization: str
    notifications: list[SoapNotification]


class _Hostile(Exception):
    """The XML asks for something."""


class _Named(Exception):
    """The organization has been read."""


def organization(body: bytes) -> str:
    """Return the organization that a message names, without reading on: who sent it is not known yet.

    Raise :class:`NotAuthentic` where it is none of Salesforce's, or names none among its first elements.
    """
    reader = _Reader(_BEFORE)
    try:
        _parse(reader, body)
    except _Named:
        return reader.organization.strip()
    return reader.organization.strip()


def parse(body: bytes) -> SoapMessage:
    """Return the message; raise :class:`NotAuthentic`, as who sent it is written inside."""
    reader = _Reader()
    _parse(reader, body)
    return SoapMessage(reader.organization.strip(), reader.notifications)


def _parse(reader: "_Reader", body: bytes) -> None:
    try:
        reader.parser.Parse(body, True)
    except _Hostile as error:
        raise NotAuthentic(Doubt.HOSTILE_XML, f"body: {error}") from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise NotAuthentic(Doubt.BAD_XML, f"body: not XML ({str(error)[:100]})") from None
    if not reader.seen:
        raise NotAuthentic(Doubt.BAD_XML, "body: no notifications of Salesforce in it")


class _Reader:
    """Follows the one shape that outbound messages have; names are compared with their namespaces."""

    def __init__(self, stop_after: int = 0) -> None:
        """With ``stop_after`` the organization is what is looked for, among so many elements."""
        self._stop_after = stop_after
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.EntityDeclHandler = self.entity
        self.parser.ProcessingInstructionHandler = self.instruction
        self.organization = ""
        self.notifications: list[SoapNotification] = []
        self.seen = False
        self._path: list[str] = []
        self._count = 0
        self._text: list[str] = []
        self._nil = False
        self._id, self._type = "", ""
        self._fields: dict[str, str | None] = {}

    def doctype(self, *_: object) -> None:
        raise _Hostile("a document type is not accepted")

    def entity(self, *_: object) -> None:
        raise _Hostile("entities are not accepted")

    def instruction(self, *_: object) -> None:
        raise _Hostile("processing instructions are not accepted")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._stop_after and self._count > self._stop_after:
            raise _Named  # of none
        if self._count > _ELEMENTS or len(self._path) >= _DEPTH:
            raise _Hostile(f"more than {_ELEMENTS} elements, or deeper than {_DEPTH}")
        self._path.append(name)
        self._text = []
        self._nil = attributes.get(f"{_XSI} nil") in ("true", "1")
        match self._path:
            case [_, _, notifications] if notifications == f"{OUTBOUND} notifications":
                self.seen = True
            case [_, _, _, notification] if notification == f"{OUTBOUND} Notification":
                self._id, self._type, self._fields = "", "", {}
            case [_, _, _, _, record] if record == f"{OUTBOUND} sObject":
                self._type = attributes.get(f"{_XSI} type", "").rpartition(":")[2]

    def characters(self, text: str) -> None:
        self._text.append(text)

    def end(self, name: str) -> None:
        text = "".join(self._text)
        local = name.rpartition(" ")[2]
        match self._path:
            case [_, _, _, _] if self.seen and name == f"{OUTBOUND} OrganizationId":
                self.organization = text
                if self._stop_after:
                    raise _Named
            case [_, _, _, _] if self.seen and name == f"{OUTBOUND} Notification":
                if len(self.notifications) >= _NOTIFICATIONS:
                    raise _Hostile(f"more than {_NOTIFICATIONS} notifications")
                self.notifications.append(SoapNotification(self._id.strip(), self._type, self._fields))
            case [_, _, _, notification, _] if notification == f"{OUTBOUND} Notification" and local == "Id":
                self._id = text
            case [_, _, _, _, record, _] if record == f"{OUTBOUND} sObject":
                self._fields[local] = None if self._nil else text
        self._path.pop()
        self._text = []
        self._nil = False
