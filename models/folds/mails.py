"""Which of the e-mails that went out have been opened, and which clicked?

An e-mail that is told of one by one (``message_id``, and a count of 1) counts once, when it was sent, with what has become of it
since: in whatever order that is told, and however often it was opened. A machine's opening is none. Who has clicked has opened.
"""

from typing import Any

import msgspec
from msgspec import UNSET

from models.calendar import MINUTE_MS
from models.events import engagement as events
from models.measures import ENGAGEMENT
from models.panes.store import Cells

_SLOT = {m.name: slot for slot, m in enumerate(ENGAGEMENT)}
_DELIVERED: Cells = ((_SLOT["mails_delivered"], 1),)
_OPENED: Cells = (*_DELIVERED, (_SLOT["mails_opened"], 1))
_CLICKED: Cells = (*_OPENED, (_SLOT["mails_clicked"], 1))
_BOUNCED_FLAG, _OPENED_FLAG, _CLICKED_FLAG = 1, 2, 4
_FLAGS: dict[type, int] = {
    events.EmailSent: 0,
    events.EmailBounced: _BOUNCED_FLAG,
    events.EmailOpened: _OPENED_FLAG,
    events.EmailClicked: _CLICKED_FLAG,
}
#: E-mails to one lead kept one by one; when there are more, the oldest stay as they were counted.
_KEPT = 64


class Mail(msgspec.Struct, array_like=True, omit_defaults=True):
    """One e-mail: when it was sent (ms, 0: not told yet), what has become of it, and channel and campaign as it was sent."""

    sent: int = 0
    flags: int = 0
    channel: str = ""
    campaign: str = ""

    @property
    def cells(self) -> Cells:
        """What it counts for."""
        if not self.sent or self.flags & _BOUNCED_FLAG:
            return ()
        return _CLICKED if self.flags & _CLICKED_FLAG else _OPENED if self.flags & _OPENED_FLAG else _DELIVERED

    @property
    def minute(self) -> int:
        """The minute it was sent in."""
        return self.sent // MINUTE_MS


Mails = dict[str, Mail]


def note(mails: Mails, event: Any, at: int) -> tuple[Mail, Mail] | None:
    """Take an event in; return the e-mail as it was and as it is, None where the event is of no single one."""
    flag = _FLAGS.get(event.__class__)
    data = event.data
    if flag is None or data.count != 1 or not data.message_id:  # UNSET is false
        return None
    if flag == _OPENED_FLAG and data.machine is True:
        return None
    before = mails.get(data.message_id, Mail())
    mail = msgspec.structs.replace(before, flags=before.flags | flag)
    if event.__class__ is events.EmailSent:
        channel, campaign = ("" if name is UNSET or name is None else name for name in (data.channel, data.campaign))
        told = at, channel, campaign
        # Told of twice, it was sent the first time.
        mail.sent, mail.channel, mail.campaign = (
            min(told, (before.sent, before.channel, before.campaign)) if before.sent else told
        )
    mails[data.message_id] = mail
    if len(mails) > _KEPT:
        for oldest in sorted(mails, key=lambda name: (mails[name].sent, name))[: len(mails) - _KEPT]:
            del mails[oldest]
    return before, mail
