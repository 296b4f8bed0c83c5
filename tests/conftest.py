"""What all tests share."""

import signal

from hypothesis import settings

# Disks are slow at times, so no deadline. Examples differ from run to run; a failure prints how to repeat it.
settings.register_profile("lotdb", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("lotdb")

# A shell starts what goes on in the background with Ctrl-C ignored. That is inherited, here by tests that
# send themselves one, and by the processes that they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
