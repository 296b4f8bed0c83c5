"""Where a database on a PostgreSQL server is: what its URL says, and what libpq is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from lotdb.errors import InvalidOptionError
from lotdb.extras import import_extra

__all__ = ["EXTRA", "Address", "psycopg2", "quoted"]

EXTRA = "lotdb-core[postgresql]"

#: The name of a database that got none; it is in the schema that PostgreSQL calls "public".
_DEFAULT_NAME, _DEFAULT_SCHEMA = "lotdb.fs", "public"

# What belongs to the process that opens a database, and not into the text that names it.
_SECRETS = {
    "password": "PGPASSWORD, or the file that PGPASSFILE names (~/.pgpass)",
    "sslpassword": "a service file, which PGSERVICEFILE names",
}

# A server that is not there, or a network that has gone away, is noticed after a while and not never.
_CONNECT_S = 10
_LIMITS = {
    "connect_timeout": _CONNECT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,  # milliseconds
}

#: Seconds that one statement may take, but for those of a pack; and that a lock is waited for.
STATEMENT_S, PACK_STATEMENT_S, LOCK_S = 120, 6 * 3600, 30


def psycopg2() -> Any:
    """The module ``psycopg2``."""
    import_extra("relstorage", EXTRA, "the storage 'postgresql'")
    return import_extra("psycopg2", EXTRA, "the storage 'postgresql'")


@dataclass(frozen=True)
class Address:
    """How to connect to a database: parameters of libpq, without any secret.

    Credentials come from the environment (PGPASSWORD, PGSSLCERT), the files that it names (PGPASSFILE,
    PGSERVICEFILE), or ``~/.pgpass`` of the process that connects.
    """

    parameters: tuple[tuple[str, str], ...]
    schema: str
    where: str
    settings: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, url: str, name: str, where: str) -> Address:
        """The place that *url* and the database's *name* mean; *where* is what messages call it.

        Raises
        ------
        InvalidOptionError
            It is no URL for PostgreSQL, or holds a password.
        MissingPluginError
            What connects to PostgreSQL is not installed.
        """
        driver = psycopg2()
        try:
            parameters: dict[str, str] = driver.extensions.parse_dsn(url)
        except driver.Error:
            # What the library says may quote a part of the password.
            raise InvalidOptionError(
                f"{where!r} is no URL of a PostgreSQL database; use one such as 'postgresql://user@host/database'"
            ) from None
        for secret, place in _SECRETS.items():
            if secret in parameters:
                raise InvalidOptionError(
                    f"the URL of {where} holds a {secret}, which would be seen in logs and messages; leave it"
                    f" out, and put it into the environment of this process: {place}"
                )
        if "replication" in parameters:
            raise InvalidOptionError(f"the URL of {where} asks for replication; leave that out")
        schema = _DEFAULT_SCHEMA if name == _DEFAULT_NAME else name
        if len(schema.encode()) > 63 or schema.startswith("pg_"):
            raise InvalidOptionError(
                f"name is {name!r}; a database on a PostgreSQL server is in a schema of this name, which has"
                " up to 63 bytes and does not begin with pg_"
            )
        return cls(tuple(sorted(parameters.items())), schema, where)

    def with_setting(self, name: str, value: str) -> Address:
        """The same, with a setting for each session."""
        return replace(self, settings=(*self.settings, (name, value)))

    def dsn(self) -> str:
        """What libpq is told, as a text of names and values."""
        own = {
            "search_path": quoted(self.schema),
            "statement_timeout": str(1000 * STATEMENT_S),
            "lock_timeout": str(1000 * LOCK_S),
            "jit": "off",  # which takes longer than our statements, where the planner knows little of a table
            **dict(self.settings),
        }
        options = " ".join(f"-c{name}={_escaped(value)}" for name, value in own.items())
        given = dict(self.parameters)
        given["options"] = f"{options} {given.get('options', '')}".strip()
        for name, value in _LIMITS.items():
            given.setdefault(name, str(value))
        dsn: str = psycopg2().extensions.make_dsn(**given)
        return dsn


def quoted(name: str) -> str:
    """A *name* as SQL has it, in quotes."""
    return '"' + name.replace('"', '""') + '"'


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
