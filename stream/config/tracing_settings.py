"""Where do traces of events go (``tracing``)?"""

from pydantic import Field, field_validator

from stream.config.sections import Section


class TracingSettings(Section):
    """OpenTelemetry's collector, as an address that takes OTLP over HTTP, and which share of the requests is followed."""

    endpoint: str = ""
    share: float = Field(0.01, ge=0, le=1)

    @field_validator("endpoint")
    @classmethod
    def _address(cls, found: str) -> str:
        if found and not found.startswith(("http://", "https://")):
            raise ValueError("accepted is an address that takes OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces")
        return found
