"""A node type: a recording of one subject."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from lotdb import DataNode
from lotdb_mrec.calibration import Calibration


class Recording(DataNode):
    """Signals of one subject, with a calibration for each in an attribute ``calibration.<signal>``."""

    __slots__ = ()
    node_type_name = "mrec.recording"

    def check_write(self, written: Mapping[str, Any], removed: Collection[str]) -> None:
        if "subject" in written and not isinstance(written["subject"], str):
            raise TypeError(f"{self.path}: subject is a text, not {written['subject']!r}")
        for name, value in written.items():
            if name.startswith("calibration.") and not isinstance(value, Calibration):
                raise TypeError(f"{self.path}: {name} is a Calibration, not {value!r}")

    def calibrated(self, signal: str) -> np.ndarray[Any, Any]:
        """The samples of *signal* in the unit of its calibration."""
        calibration = self.attrs[f"calibration.{signal}"]
        samples: np.ndarray[Any, Any] = self.get_data(f"data.{signal}").read()
        return samples * calibration.gain + calibration.offset
