"""JSON as types, and what the JSON of strangers must not have."""

from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = "dict[str, Json]"


def no_duplicates(pairs: list[tuple[str, Json]]) -> JsonObject:
    """An object for json.loads; ValueError where a name occurs twice, because readers disagree about which counts."""
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a name occurs twice in an object")
    return document
