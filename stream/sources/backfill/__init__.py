"""Of which CRMs can an export be read?"""

from stream.sources.backfill import hubspot, pipedrive, salesforce
from stream.sources.backfill.base import BackfillTally, FoundEvent, Options, Reader, Reject, ordered
from stream.sources.backfill.names import Lists, load

#: By the name that ``vigie backfill`` takes: the adapter whose settings it has, and how it is read.
EXPORTS: dict[str, tuple[str, Reader]] = {
    "hubspot": ("hubspot", hubspot.read),
    "pipedrive": ("pipedrive", pipedrive.read),
    "salesforce-csv": ("salesforce", salesforce.read),
}

__all__ = ["EXPORTS", "BackfillTally", "FoundEvent", "Lists", "Options", "Reader", "Reject", "load", "ordered"]
