"""What a map over many nodes has done."""

from __future__ import annotations

from dataclasses import dataclass, field

from lotdb.public import LotdbError

__all__ = ["MapReport"]


@dataclass
class MapReport:
    """What :meth:`Step.map` has done.

    Attributes
    ----------
    computed
        How many results were computed and stored.
    fresh
        How many there were already.
    failed
        The errors by the paths of the nodes at which the step failed.
    seconds
        How long it took.
    """

    computed: int = 0
    fresh: int = 0
    failed: dict[str, LotdbError] = field(default_factory=dict)
    seconds: float = 0.0

    def __str__(self) -> str:
        text = (
            f"{self.computed} computed, {self.fresh} fresh, {len(self.failed)} failed, {self.seconds:.3g} s"
        )
        return "\n".join((text, *(f"  {error}" for error in self.failed.values())))
