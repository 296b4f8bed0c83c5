#!/usr/bin/env bash
# VTK moves an image by two metres when it saves it in its own format: place and spacing are written in six digits.
#
# Version:     vtk 9.7.2
# Expectation: a binary .vtk file keeps the doubles of an image's origin and spacing, as it keeps those of points and
#              of the samples, and as the XML format (.vti) keeps all of them.
# Behaviour:   origin and spacing stand in the header as text of six digits. With the coordinates of a map grid,
#              1234567.89 m, the image comes back two metres beside the points that are saved with it. A spacing of
#              1/3 is off by a sample after a million. The samples are exact. Nothing is said.
# Seen:        origin 1234567.89 -> 1234570.0, spacing 0.3333333333333333 -> 0.333333 (.vtk, binary and ASCII);
#              unchanged in .vti
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps vtk==9.7.2
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkIOLegacy import vtkDataSetReader, vtkDataSetWriter
from vtkmodules.vtkIOXML import vtkXMLImageDataReader, vtkXMLImageDataWriter

image = vtkImageData()
image.SetDimensions(4, 3, 1)
image.SetOrigin(1234567.89, 0, 0)
image.SetSpacing(1 / 3, 1, 1)
image.AllocateScalars(11, 1)  # doubles
for index in range(12):
    image.GetPointData().GetScalars().SetTuple1(index, index / 3)


def saved(writer, reader, name):
    writer.SetFileName(name)
    writer.SetInputData(image)
    assert writer.Write() == 1
    reader.SetFileName(name)
    reader.Update()
    found = reader.GetOutput()
    samples = found.GetPointData().GetScalars()
    print(name, "origin", found.GetOrigin()[0], "spacing", found.GetSpacing()[0])
    return found.GetOrigin()[0], found.GetSpacing()[0], [samples.GetTuple1(index) for index in range(12)]


samples = [index / 3 for index in range(12)]
binary = vtkDataSetWriter()
binary.SetFileTypeToBinary()
assert saved(binary, vtkDataSetReader(), "x.vtk") == (1234570.0, 0.333333, samples)
assert saved(vtkDataSetWriter(), vtkDataSetReader(), "ascii.vtk")[:2] == (1234570.0, 0.333333)
assert saved(vtkXMLImageDataWriter(), vtkXMLImageDataReader(), "x.vti") == (1234567.89, 1 / 3, samples)
PY
