"""The classes that authors of plugins subclass or receive."""
