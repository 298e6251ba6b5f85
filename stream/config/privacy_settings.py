"""What of persons is not to be written at all?"""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StrictInt, model_validator

from models.privacy.minimise import Minimise
from stream.config.sections import Section


class PrivacySettings(Section):
    """Minimisation (docs/privacy.md): per field ``drop``, ``hash``, or how many characters are kept."""

    minimise: dict[str, Literal["drop", "hash"] | Annotated[StrictInt, Field(ge=1, le=200)]] = {}
    salt: SecretStr = SecretStr("")  # of the hashes; an installation's own, and the same at every start

    @model_validator(mode="after")
    def _accepted(self) -> "PrivacySettings":
        self.minimiser()
        return self

    def minimiser(self) -> Minimise:
        """Return what changes events before they are written."""
        return Minimise(self.minimise, self.salt.get_secret_value().encode())
