"""What of persons is not to be written at all?"""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StrictInt, model_validator

from models.privacy.minimise import Minimise
from stream.config.sections import Section


class ControllerSettings(Section):
    """What the record of processing (GDPR, article 30) says of who is responsible: texts for people to read."""

    name: str = ""
    contact: str = ""
    officer: str = ""  # the data protection officer, where there is one
    legal_basis: str = ""
    transfers: str = ""  # to third countries: to whom, and with which safeguards; or "none"
    erased_within: str = "one month"


class PrivacySettings(Section):
    """Who is responsible, and minimisation (docs/privacy.md): per field ``drop``, ``hash``, or how many characters are kept."""

    controller: ControllerSettings = ControllerSettings()
    minimise: dict[str, Literal["drop", "hash"] | Annotated[StrictInt, Field(ge=1, le=200)]] = {}
    salt: SecretStr = SecretStr("")  # of the hashes; an installation's own, and the same at every start
    #: Leads (by id) who object to being judged: nothing is predicted of them, or learnt from them.
    objections: frozenset[Annotated[str, Field(min_length=1, max_length=300)]] = frozenset()

    @model_validator(mode="after")
    def _accepted(self) -> "PrivacySettings":
        self.minimiser()
        return self

    def minimiser(self) -> Minimise:
        """Return what changes events before they are written."""
        return Minimise(self.minimise, self.salt.get_secret_value().encode())
