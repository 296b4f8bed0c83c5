"""What stands for a stored value that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Undecodable"]


@dataclass(frozen=True, repr=False)
class Undecodable:
    """Stands for a stored value that cannot be read; setting it stores the original value unchanged.

    Parameters
    ----------
    tag
        Name of the plugin's type, or the tag of the stored form.
    encoded
        The stored form of the value.
    reason
        Why it cannot be read.
    missing_plugin
        Whether the reason is that a plugin is not installed, or not in a version that reads the value. There
        is nothing wrong with the value then.
    """

    tag: str
    # Not hashed: in damaged data it may hold anything, nested to any depth.
    encoded: Any = field(hash=False)
    reason: str = field(compare=False)
    missing_plugin: bool = field(default=False, compare=False)

    def __repr__(self) -> str:
        return f"<undecodable value {self.tag!r}: {self.reason}>"
