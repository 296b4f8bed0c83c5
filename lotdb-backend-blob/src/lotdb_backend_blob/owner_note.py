"""The note that says which database a place outside of its folder belongs to."""

from __future__ import annotations

from lotdb import DamagedError, InvalidOptionError

__all__ = ["NAME", "check_note", "note_of"]

NAME = "lotdb.json"


def note_of(database_id: str) -> bytes:
    """What is noted for the database of that id."""
    import json  # which a database without such a store does not need

    return json.dumps({"lotdb_database": database_id}).encode()


def check_note(note: bytes, database_id: str, place: object) -> None:
    """Raise ``InvalidOptionError`` if *note*, which was found in *place*, names another database."""
    import json

    try:
        owner = json.loads(note)["lotdb_database"]
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedError(f"{place}/{NAME} does not say to which database the place belongs") from error
    if owner != database_id:
        # Each database would treat the other's arrays as garbage.
        raise InvalidOptionError(
            f"{place} belongs to another LOTDB database; give each a store, or a path, of its own"
        )
