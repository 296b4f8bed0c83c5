"""Formats that LOTDB recognizes by their name or first bytes, but does not read: it keeps their bytes."""

from __future__ import annotations

from lotdb import SourceFile
from lotdb_ingest.signatures import content_is

__all__ = ["MEANT", "hint"]

# Suffixes of files that are meant to be stored as bytes.
MEANT = frozenset({"raw", "bin", "dat"})

BY_SUFFIX = {
    # tables and numbers
    "parquet pq": "a Parquet file",
    "feather arrow arrows ipc": "an Arrow file",
    "orc": "an ORC file",
    "avro": "an Avro file",
    "xls xlsx xlsm xlsb": "an Excel workbook",
    "ods": "an OpenDocument spreadsheet",
    "h5 hdf5 hdf he5 h5ad loom": "an HDF5 file",
    "nc nc4 netcdf cdf": "a netCDF file",
    "zarr": "a zarr store",
    "mat": "a MATLAB file",
    "fits fit fts": "a FITS file",
    "root": "a ROOT file",
    "sav zsav por": "an SPSS file",
    "dta": "a Stata file",
    "sas7bdat xpt": "a SAS file",
    "rds rda rdata": "an R data file",
    "pkl pickle joblib": "a pickle, which would run code when it is read",
    "pt pth ckpt safetensors onnx": "a model or its weights",
    "tfrecord tfrecords": "a TFRecord file",
    "sqlite sqlite3 db duckdb": "a database file",
    # recordings
    "edf bdf rec": "an EDF or BDF recording",
    "gdf": "a GDF recording",
    "xdf xdfz": "an XDF recording",
    "vhdr vmrk eeg": "a part of a BrainVision recording",
    "fif": "an MNE FIF recording",
    "set fdt": "an EEGLAB recording",
    "hea atr": "a part of a WFDB recording",
    "c3d": "a C3D recording",
    "tdms": "a TDMS recording",
    "mf4 mdf": "an MDF recording",
    "mseed miniseed ms": "a miniSEED recording",
    "sac": "a SAC recording",
    "sgy segy": "a SEG-Y recording",
    "gcf": "a Guralp recording",
    "sigmf sigmf-data sigmf-meta": "a part of a SigMF recording",
    "cwa gt3x": "a recording of a wearable",
    # sound and video
    "m4a aac": "AAC sound",
    "wma": "Windows Media sound",
    "amr": "AMR sound",
    "ape wv tta": "lossless sound of a kind that is not read",
    "mid midi": "a MIDI file",
    "mp4 m4v mov": "an MP4 or QuickTime film",
    "avi mkv webm wmv mpg mpeg mts": "a film",
    # images
    "heic heif avif": "a HEIF or AVIF image",
    "jp2 j2k jpx jxl": "a JPEG 2000 or JPEG XL image",
    "dcm dicom": "a DICOM image",
    "nii nrrd mha mhd": "a medical image",
    "cr2 cr3 nef arw dng orf raf rw2": "a raw image of a camera",
    "pbm pgm ppm pnm pam pfm": "a Netpbm image",
    "tga pcx sgi dpx xbm xpm ico qoi": "an image of a kind that is not read",
    "exr hdr": "an image of high dynamic range",
    "psd svg eps": "a drawing",
    "czi lif nd2 lsm oib oif vsi svs ndpi": "a microscope's image",
    "las laz ply stl obj vtk vtp vtu": "points or shapes in space",
    # texts
    "json jsonl ndjson geojson": "a JSON file",
    "xml gpx kml": "an XML file",
    "html htm": "an HTML page",
    "yaml yml toml ini cfg": "a file of settings",
    "pdf": "a PDF document",
    "doc docx odt rtf": "a document of a word processor",
    "ppt pptx odp": "a presentation",
    "py ipynb r m jl c cpp": "a program",
    # archives
    "zip 7z rar tar": "an archive",
    "gz tgz bz2 xz zst lz4": "a compressed file",
}
_KNOWN = {suffix: what for suffixes, what in BY_SUFFIX.items() for suffix in suffixes.split()}


def hint(source: SourceFile) -> str | None:
    """The hint for a file that no ingester reads, from its content or name; None if bytes are meant."""
    if source.format in MEANT or source.size == 0:
        return None
    content = content_is(source.head).removeprefix("; its content is ")
    if "format='auto'" in content:
        return f"its bytes were kept: its content is {content}"
    if not source.format and not content:
        return "its bytes were kept: it has no suffix that says what it is"
    if content and source.format not in _KNOWN:
        return f"its bytes were kept, because no installed plugin reads it: it is {content}"
    what = _KNOWN.get(source.format, f"a file called .{source.format}")
    return f"its bytes were kept: it is {what}, which no installed plugin reads"
