"""What does OData's metadata document say of the tables?"""

from collections.abc import Iterable
from xml.sax.saxutils import quoteattr

from models.feeds.tables import TABLES, Column, ColumnKind, FeedTable

NAMESPACE = "Vigie"
_CORE = "https://oasis-tcs.github.io/odata-vocabularies/vocabularies/Org.OData.Core.V1.xml"
#: The type of each kind, with its facets. A decimal without a scale has none after the point.
EDM: dict[ColumnKind, tuple[str, str]] = {
    ColumnKind.TEXT: ("Edm.String", ""),
    ColumnKind.WHOLE: ("Edm.Int64", ""),
    ColumnKind.NUMBER: ("Edm.Double", ""),
    ColumnKind.MONEY: ("Edm.Decimal", ' Precision="19" Scale="4"'),
    ColumnKind.DAY: ("Edm.Date", ""),
    ColumnKind.TIME: ("Edm.DateTimeOffset", ' Precision="3"'),
}


def type_name(table: FeedTable) -> str:
    """Return the name of the type of a table's rows."""
    return f"{table.name.removesuffix('s')}_row"


def metadata(tables: Iterable[FeedTable] = tuple(TABLES.values())) -> bytes:
    """Return the metadata document (CSDL, XML)."""
    tables = list(tables)
    types = "".join(map(_type, tables))
    sets = "".join(
        f'<EntitySet Name="{table.name}" EntityType="{NAMESPACE}.{type_name(table)}">{_said(table.doc)}</EntitySet>'
        for table in tables
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">'
        f'<edmx:Reference Uri="{_CORE}"><edmx:Include Namespace="Org.OData.Core.V1" Alias="Core"/></edmx:Reference>'
        f'<edmx:DataServices><Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="{NAMESPACE}">{types}'
        f'<EntityContainer Name="Container">{sets}</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>'
    ).encode()


def _type(table: FeedTable) -> str:
    key = "".join(f'<PropertyRef Name="{name}"/>' for name in table.key)
    properties = "".join(_property(column, column.name in table.key) for column in table.columns)
    return f'<EntityType Name="{type_name(table)}"><Key>{key}</Key>{properties}</EntityType>'


def _property(column: Column, key: bool) -> str:
    edm, facets = EDM[column.kind]
    never = ' Nullable="false"' if key else ""
    return f'<Property Name="{column.name}" Type="{edm}"{never}{facets}>{_said(column.doc)}</Property>'


def _said(doc: str) -> str:
    return f'<Annotation Term="Core.Description" String={quoteattr(doc)}/>'
