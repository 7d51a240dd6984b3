"""Kafka's message schemas, read from its jars: JSON with comments, one file a message."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass, field

PRIMITIVES = {
    "bool", "int8", "int16", "uint16", "int32", "int64", "float64", "string", "uuid", "bytes", "records",
}
LAST = 32767


@dataclass(frozen=True)
class Versions:
    """A range of versions, both ends included. It is empty if `first` is beyond `last`."""

    first: int
    last: int

    @staticmethod
    def parse(text: str | None) -> Versions:
        if text is None or text == "none":
            return Versions(1, 0)
        if text.endswith("+"):
            return Versions(int(text[:-1]), LAST)
        first, _, last = text.partition("-")
        return Versions(int(first), int(last or first))

    def __bool__(self) -> bool:
        return self.first <= self.last

    def __and__(self, other: Versions) -> Versions:
        return Versions(max(self.first, other.first), min(self.last, other.last))

    def __contains__(self, other: Versions) -> bool:
        return not other or self & other == other


@dataclass
class Field:
    name: str
    type: str  # a primitive's name, or a struct's
    is_array: bool
    versions: Versions
    nullable: Versions
    tagged: Versions
    tag: int | None
    ignorable: bool
    default: str | None  # as in the schema; None if it says nothing

    @property
    def is_struct(self) -> bool:
        return self.type not in PRIMITIVES

    @property
    def is_nullable(self) -> bool:
        return bool(self.nullable)


@dataclass
class Struct:
    name: str
    versions: Versions
    fields: list[Field]


@dataclass
class Message:
    name: str
    kind: str  # request, response or data
    api_key: int | None
    versions: Versions
    flexible: Versions
    body: Struct
    structs: list[Struct] = field(default_factory=list)  # those in the body, in the order of their use


def _json(text: str) -> dict:
    return json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))


def _default(raw: object) -> str | None:
    return None if raw is None else str(raw).lower() if isinstance(raw, bool) else str(raw)


class _Parser:
    def __init__(self, raw: dict):
        self.raw = raw
        self.versions = Versions.parse(raw["validVersions"])
        self.structs: dict[str, Struct] = {}
        self.common = {struct["name"]: struct for struct in raw.get("commonStructs", [])}

    def message(self) -> Message:
        raw = self.raw
        body = self.struct(raw["name"], self.versions, raw["fields"])
        del self.structs[body.name]
        return Message(
            raw["name"], raw["type"], raw.get("apiKey"), self.versions,
            Versions.parse(raw["flexibleVersions"]), body, list(self.structs.values()),
        )

    def struct(self, name: str, versions: Versions, fields: list[dict]) -> Struct:
        struct = Struct(name, versions & self.versions, [])
        assert name not in self.structs, f"{name} twice in {self.raw['name']}"
        self.structs[name] = struct
        struct.fields = [self.field(raw, struct) for raw in fields]
        return struct

    def field(self, raw: dict, parent: Struct) -> Field:
        kind = raw["type"]
        is_array = kind.startswith("[]")
        kind = kind.removeprefix("[]")
        versions = Versions.parse(raw["versions"]) & parent.versions
        assert "flexibleVersions" not in raw, f"{raw['name']} is flexible on its own"
        if kind not in PRIMITIVES:
            if "fields" in raw:
                self.struct(kind, versions, raw["fields"])
            elif kind not in self.structs:
                common = self.common[kind]
                self.struct(kind, Versions.parse(common["versions"]), common["fields"])
        return Field(
            raw["name"], kind, is_array, versions,
            Versions.parse(raw.get("nullableVersions")) & versions,
            Versions.parse(raw.get("taggedVersions")) & versions,
            raw.get("tag"), bool(raw.get("ignorable", False)), _default(raw.get("default")),
        )


def read(jar: str, name: str) -> Message:
    """The message `name` of a jar."""
    with zipfile.ZipFile(jar) as archive:
        text = archive.read(f"common/message/{name}.json").decode()
    return _Parser(_json(text)).message()
