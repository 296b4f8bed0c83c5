"""A value type: what turns samples into physical units."""

from dataclasses import dataclass
from typing import Any

from lotdb import ValueType


@dataclass(frozen=True)
class Calibration:
    """A sample times *gain*, plus *offset*, is a value in *unit*."""

    gain: float
    offset: float
    unit: str


def _encode(value: Calibration) -> dict[str, Any]:
    return {"gain": value.gain, "offset": value.offset, "unit": value.unit}


def _decode(stored: Any) -> Calibration:
    return Calibration(stored["gain"], stored["offset"], stored["unit"])


def _decode_first(stored: Any) -> Calibration:
    gain, offset = stored  # version 1 knew volts only
    return Calibration(gain, offset, "V")


CALIBRATION = ValueType(
    "mrec.calibration", Calibration, encode=_encode, decode=_decode, version=2, older={1: _decode_first}
)
