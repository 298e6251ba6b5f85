"""Who may read figures of single people (``docs/people.md``)?"""

from fastapi import Request

from stream.web.context import context


def sees_people(request: Request) -> bool:
    """Whether the asking one may see figures of single people; of a token that is limited, what it may see is cut elsewhere."""
    said = context(request).figures
    if said.figures == "everybody" or getattr(request.state, "reach", None) is not None:
        return True
    return (getattr(request.state, "reader", "") or "") in said.readers


REFUSED = "figures of single people are for those in people.readers (accepted: by team, or the total)"
