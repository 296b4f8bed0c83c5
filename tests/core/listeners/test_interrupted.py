"""What listeners are told is right as well if Ctrl-C cut a change short, and who caught it has committed."""

import pytest
from tests.core.listeners.mirror import Mirror, walked
from tests.core.test_interrupts import CHANGES, fill, interrupted, moments

from lotdb import LOTDB, Plugins

STEP = 900  # moments between two that are tried; LOTDB_INTERRUPT_STEP=11 takes some minutes


@pytest.mark.sampled
@pytest.mark.parametrize("name", CHANGES)
def test_what_was_committed_after_an_interrupt_is_told(tmp_path, name):
    mirror = Mirror()
    plugins = Plugins()
    plugins.register(mirror)
    with LOTDB(tmp_path, durability="process", plugins=plugins) as db:
        root = db.open_connection()
        fill(root)
        db.commit()
        keys = iter("abcdefghijklmnopqrstuvwxyz" * 1000)
        for nth in moments(STEP, name):
            root["count"].attrs["n"] = nth
            done = interrupted(nth, CHANGES[name], root)
            root.get_node_path(f"after/{next(keys)}/interrupt").attrs["n"] = nth
            db.commit()
            assert mirror.nodes == walked(root)
            if done:
                break
            root.delete_tree()  # all of it anew
            fill(root)
            db.commit()
            assert mirror.nodes == walked(root)
