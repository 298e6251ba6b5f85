"""Is an answer of the OData service what its metadata document says? Nothing is let pass that OData's JSON format forbids."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import httpx
import orjson

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
EDMX = "{http://docs.oasis-open.org/odata/ns/edmx}"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class Model:
    """What a metadata document says: by entity set, the properties and the key."""

    def __init__(self, answer: httpx.Response) -> None:
        assert answer.status_code == 200 and answer.headers["content-type"].split(";")[0] == "application/xml"
        assert answer.headers["odata-version"] == "4.0"
        root = ElementTree.fromstring(answer.content)
        assert root.tag == f"{EDMX}Edmx" and root.attrib["Version"] == "4.0"
        (schema,) = root.iterfind(f"{EDMX}DataServices/{EDM}Schema")
        included = {one.attrib["Alias"] for one in root.iterfind(f"{EDMX}Reference/{EDMX}Include")}
        space = schema.attrib["Namespace"]
        types = {f"{space}.{one.attrib['Name']}": one for one in schema.iterfind(f"{EDM}EntityType")}
        (container,) = schema.iterfind(f"{EDM}EntityContainer")
        self.sets: dict[str, dict[str, dict[str, str]]] = {}
        self.keys: dict[str, list[str]] = {}
        for one in container:
            entity = types[one.attrib["EntityType"]]
            found = {prop.attrib["Name"]: dict(prop.attrib) for prop in entity.iterfind(f"{EDM}Property")}
            keys = [ref.attrib["Name"] for ref in entity.iterfind(f"{EDM}Key/{EDM}PropertyRef")]
            assert keys and all(found[name].get("Nullable") == "false" for name in keys)
            assert all(_IDENTIFIER.fullmatch(name) for name in (*found, one.attrib["Name"]))
            for prop in found.values():
                assert prop["Type"] != "Edm.Decimal" or int(prop["Scale"]) > 0, "without a scale the cents are cut off"
            self.sets[one.attrib["Name"]], self.keys[one.attrib["Name"]] = found, keys
        for note in schema.iter(f"{EDM}Annotation"):
            assert note.attrib["Term"].partition(".")[0] in included and note.attrib["String"]

    def check(self, feed: str, answer: httpx.Response, *, root: str, exact: bool = False) -> list[dict[str, Any]]:
        """Return the rows of an answer, after a look at all of it."""
        assert answer.status_code == 200, answer.text[:300]
        assert answer.headers["odata-version"] == "4.0"
        kind = answer.headers["content-type"].replace(" ", "").split(";")
        assert kind[0] == "application/json" and "odata.metadata=minimal" in kind
        assert ("IEEE754Compatible=true" in kind) is exact
        tree = orjson.loads(answer.content)
        assert set(tree) <= {"@odata.context", "@odata.count", "value", "@odata.nextLink"} and isinstance(tree["value"], list)
        chosen = parse_qs(urlsplit(str(answer.request.url)).query).get("$select")
        names = [name.strip() for name in chosen[0].split(",")] if chosen else list(self.sets[feed])
        context = re.fullmatch(re.escape(f"{root}/$metadata#{feed}") + r"(?:\(([^)]*)\))?", tree["@odata.context"])
        assert context is not None and (context[1] is None) is (chosen is None)
        assert context[1] is None or set(context[1].split(",")) == set(names)
        if "@odata.nextLink" in tree:
            assert tree["@odata.nextLink"].startswith(f"{root}/{feed}?"), "absolute, and ours"
        if "@odata.count" in tree:
            assert isinstance(tree["@odata.count"], str if exact else int)
        seen = set()
        for row in tree["value"]:
            assert set(row) == set(names), "nothing is left out, and nothing is there that is not declared"
            for name, value in row.items():
                self._value(self.sets[feed][name], value, exact)
            if set(self.keys[feed]) <= set(names):
                key = tuple(row[name] for name in self.keys[feed])
                assert key not in seen, "a key is there once"
                seen.add(key)
        return list(tree["value"])

    @staticmethod
    def _value(prop: dict[str, str], value: Any, exact: bool) -> None:
        if value is None:
            assert prop.get("Nullable") != "false", prop
            return
        match prop["Type"]:
            case "Edm.String":
                assert isinstance(value, str)
            case "Edm.Int64":
                assert isinstance(value, str) and int(value) is not None if exact else type(value) is int
            case "Edm.Double":
                assert type(value) in (int, float)
            case "Edm.Decimal":
                assert isinstance(value, str) if exact else type(value) in (int, float)
                exponent = Decimal(str(value)).normalize().as_tuple().exponent
                assert isinstance(exponent, int) and -exponent <= int(prop["Scale"]), value
            case "Edm.Date":
                assert re.fullmatch(r"\d{4}-\d\d-\d\d", value)
            case "Edm.DateTimeOffset":
                assert _TIME.fullmatch(value), value
            case other:
                raise AssertionError(f"a type that nobody expects: {other}")


def refused(answer: httpx.Response, status: int) -> str:
    """Return why a request was refused, after a look at the form of it."""
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["odata-version"] == "4.0"
    error = answer.json()["error"]
    assert set(error) == {"code", "message"} and error["code"] and isinstance(error["message"], str)
    return str(error["message"])
