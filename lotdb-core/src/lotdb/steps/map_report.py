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
        At how many nodes the step failed.
    errors
        Their errors by the paths of the nodes: the first 1000.
    seconds
        How long it took.
    """

    computed: int = 0
    fresh: int = 0
    failed: int = 0
    errors: dict[str, LotdbError] = field(default_factory=dict)
    seconds: float = 0.0

    def __str__(self) -> str:
        counts = f"{self.computed} computed, {self.fresh} fresh, {self.failed} failed"
        return "\n".join(
            (f"{counts}, {self.seconds:.3g} s", *(f"  {error}" for error in self.errors.values()))
        )
