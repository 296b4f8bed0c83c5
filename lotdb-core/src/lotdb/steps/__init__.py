"""Steps: functions of nodes whose results are kept in the tree, with what each was made from.

::

    from lotdb.steps import step

    @step
    def band_power(capture, low=0.5, high=20.0):
        return ...

    result = band_power.at(capture, low=1.0)  # capture/band_power, computed if it is missing or stale
"""

from lotdb.steps.eviction import EvictReport, evict, pin, unpin
from lotdb.steps.lineage import Lineage, lineage
from lotdb.steps.map_report import MapReport
from lotdb.steps.origins import Provenance, Read, load, provenance
from lotdb.steps.pipeline import Planned, plan, run
from lotdb.steps.returned import Data
from lotdb.steps.staleness import why_stale
from lotdb.steps.step import Step, step

__all__ = [
    "Data",
    "EvictReport",
    "Lineage",
    "MapReport",
    "Planned",
    "Provenance",
    "Read",
    "Step",
    "evict",
    "lineage",
    "load",
    "pin",
    "plan",
    "provenance",
    "run",
    "step",
    "unpin",
    "why_stale",
]
