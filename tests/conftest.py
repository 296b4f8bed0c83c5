"""What all tests share."""

import os
import signal

from hypothesis import settings

# Disks are slow at times, so no deadline. Examples are the same in each run, so that no change passes by
# luck; LOTDB_TEST_RANDOM=1 takes others each time, and a failure prints how to repeat it.
RANDOM = os.environ.get("LOTDB_TEST_RANDOM") == "1"
settings.register_profile("lotdb", deadline=None, derandomize=not RANDOM, print_blob=True)
settings.load_profile("lotdb")

# A shell starts what goes on in the background with Ctrl-C ignored. That is inherited, here by tests that
# send themselves one, and by the processes that they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
