#!/usr/bin/env bash
# pydicom stores a big-endian image with its bytes swapped: 300 comes back as 3073.
#
# Version:     pydicom 3.0.2, numpy 2.4.6
# Expectation: `Dataset.set_pixel_data` stores the values of an array of int16 or uint16, or refuses its byte order, as
#              it refuses other types, and data sets that are big-endian themselves.
# Behaviour:   the values are compared with the bits that are to be stored, and pass: 300 fits into 12 bits. Then the
#              bytes are stored as they lie in memory, in a data set that is always little-endian. numpy arrays from
#              FITS, TIFF and MRC files are often big-endian. The file has bits beyond the 12 that its header promises;
#              pydicom cuts those off when it reads. Nothing is said. Transposed arrays are right.
# Seen:        >u2 300, 301, 4095 of 12 bits -> 3073, 3329, 3855; >i2 -2, 5 -> -257, 1280; <u2, <i2 -> the same
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pydicom==3.0.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset


def stored(image, bits):
    data = pydicom.Dataset()
    data.file_meta = FileMetaDataset()
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    data.set_pixel_data(image, "MONOCHROME2", bits)
    data.save_as("x.dcm", enforce_file_format=True)
    data = pydicom.dcmread("x.dcm")
    assert data.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert data.BitsStored == bits
    return data.pixel_array


for order, expected in (("<", [[300, 301, 4095]]), (">", [[3073, 3329, 3855]])):
    given = np.array([[300, 301, 4095]], order + "u2")
    found = stored(given, 12)
    print(given.dtype.str, given.tolist(), "->", found.tolist())
    assert found.tolist() == expected
assert stored(np.array([[-2, 5]], "<i2"), 16).tolist() == [[-2, 5]]
assert stored(np.array([[-2, 5]], ">i2"), 16).tolist() == [[-257, 1280]]
assert stored(np.array([[1, 2], [3, 4]], "<u2").T, 16).tolist() == [[1, 3], [2, 4]]
PY
