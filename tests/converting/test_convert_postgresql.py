"""A database that is copied to a server and back is the same."""

import pytest
from tests.converting.test_convert import commits_of, differences, fill

from lotdb import LOTDB, DatabaseExistsError, convert

pytest.importorskip("relstorage", reason="the extra lotdb-core[postgresql] is not installed")
pytest.importorskip("psycopg2", reason="the extra lotdb-core[postgresql] is not installed")


def test_there_and_back_again(tmp_path, postgresql):
    url = postgresql.new_database()
    with LOTDB(tmp_path / "source", durability="process") as db:
        fill(db)
        convert(db, url, payloads=tmp_path / "payloads")
        with LOTDB(url) as copy:
            assert commits_of(copy) == commits_of(db)
            assert copy.verify() == []
            for tid, *_ in commits_of(db)[1:]:
                assert differences(db, copy, tid) == []
            with copy.connection() as root:
                root["takes/1"].append_data(root["takes/2"].read_data())
        with pytest.raises(DatabaseExistsError):
            convert(db, url, payloads=tmp_path / "payloads")
    convert(url, tmp_path / "back")
    with LOTDB(url, read_only=True) as copy, LOTDB(tmp_path / "back") as back:
        assert commits_of(back) == commits_of(copy)
        assert back.verify() == []
        with back.connection() as root:
            assert root["takes/1"].get_data().shape == (600,)


def test_what_was_interrupted_is_not_gone_on_with(tmp_path, postgresql):
    url = postgresql.new_database()
    with LOTDB(tmp_path / "source", durability="process") as db:
        fill(db)

        def stop(done, *_):
            if done == 5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            convert(db, url, payloads=tmp_path / "payloads", progress=stop)
        with pytest.raises(DatabaseExistsError, match="interrupted"):
            convert(db, url, payloads=tmp_path / "payloads")
