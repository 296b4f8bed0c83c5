"""What all tests share."""

from hypothesis import settings

# Disks are slow at times, so no deadline. Examples differ from run to run; a failure prints how to repeat it.
settings.register_profile("lotdb", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("lotdb")
