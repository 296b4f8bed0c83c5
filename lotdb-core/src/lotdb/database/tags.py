"""Names of moments, which are stored in the database; packs keep what has one.

They lie in a record of their own beside the tree: name to id, in the order of the names. Two transactions
that change different tags merge, as changes of different children of a node do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial
from typing import Any

from lotdb.database.commits import TAGS_KEY, Commit, find_commit, id_of, tag_in, tags_in
from lotdb.database.moments import keep_for
from lotdb.database.session import Session
from lotdb.errors import InvalidKeyError, MomentGoneError
from lotdb.interfaces.options import pairs_of
from lotdb.keys import check_name, some, stored_form
from lotdb.node_api.nodes import BaseNode
from lotdb.records import OWN_KEY, Children
from lotdb.records.own import EMPTY_OWN

__all__ = ["Tags"]


class Tags(MutableMapping[str, Commit]):
    """The tags of a database: name to :class:`lotdb.Commit`, in the order of the names.

    ``db.tags`` is one. What names a moment can be set: a commit, its id, another tag, or an aware time. Each
    change is a transaction of its own; :meth:`through` makes them part of a connection's transaction. A pack
    keeps all that was seen since the oldest tag.
    """

    def __init__(self, database: Any, session: Session | None = None) -> None:
        self._database = database
        self._session = session

    def through(self, connection: str | BaseNode = "standard") -> Tags:
        """The tags as a connection sees them, whose changes are part of its transaction.

        *connection* is the id that it was opened with, or any of its nodes.
        """
        return Tags(self._database, self._database._session(connection))

    def __repr__(self) -> str:
        return f"<Tags of {self._database}: {', '.join(map(repr, self)) or 'none'}>"

    def __getitem__(self, name: str) -> Commit:
        tid = self._look(lambda session: tag_in(session, name))
        try:
            return find_commit(self._database, tid.hex())
        except MomentGoneError as error:
            raise MomentGoneError(f"tag {name!r}: {error}") from error

    def __setitem__(self, name: str, when: Any) -> None:
        name = _check_tag(name)
        self._change(f"tag {name}", lambda session: _put(session, name, when))

    def __delitem__(self, name: str) -> None:
        self._look(lambda session: tag_in(session, name))  # so that nothing is changed if it is not there
        self._change(f"delete tag {name}", lambda session: _delete(session, name))

    def update(self, other: Any = (), /, **named: Any) -> None:
        """Set several tags at once: all of them, or none if one is refused."""
        pairs = pairs_of("tags", other, named)
        commits = {_check_tag(name): find_commit(self._database, when) for name, when in pairs.items()}
        if commits:
            self._change(f"tag {some(commits)}", partial(_put_all, commits))

    def __iter__(self) -> Iterator[str]:
        return iter(self._look(lambda session: list(tags_in(session))))

    def __len__(self) -> int:
        return len(self._look(tags_in))

    def __contains__(self, name: object) -> bool:
        return stored_form(name) in self._look(tags_in)

    def _look(self, function: Callable[[Session], Any]) -> Any:
        if self._session is not None:
            self._session.tree.check()
            return function(self._session)
        self._database._check()
        session = Session(self._database)
        try:
            return function(session)
        finally:
            session.close()

    def _change(self, note: str, function: Callable[[Session], None]) -> None:
        if self._session is not None:
            self._session.tree.check_writable()
            function(self._session)
            return

        def change(root: BaseNode) -> None:
            session = self._database._session(root)
            session.tree.check_writable()
            function(session)

        self._database.run(change, note=note)


def _check_tag(name: Any) -> str:
    checked = check_name(name, "tag")
    if id_of(checked) is not None:
        raise InvalidKeyError(f"{name!r} cannot be a tag: it looks like the id of a commit")
    return checked


def _put(session: Session, name: str, when: Any) -> None:
    commit = find_commit(session.database, when)
    keep_for(session, commit)
    root = session.connection.root()
    if TAGS_KEY not in root:
        root[TAGS_KEY] = Children()
        root[TAGS_KEY][OWN_KEY] = EMPTY_OWN  # by which it is never empty: what is empty cannot merge
    root[TAGS_KEY][name] = commit.id


def _put_all(commits: Mapping[str, Commit], session: Session) -> None:
    for name, commit in commits.items():
        _put(session, name, commit)


def _delete(session: Session, name: str) -> None:
    tag_in(session, name)
    del session.connection.root()[TAGS_KEY][stored_form(name)]
