"""The zarr backend as it is for arrays and stores that only zarr itself can read."""

from lotdb_backend_zarr.backend import ZarrBackend


class ThroughZarr(ZarrBackend):
    """Leaves every array to zarr, as one with other codecs is."""

    name = "zarr"

    def _sharded(self, document):
        return None
