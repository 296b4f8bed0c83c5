"""Payloads and nodes for dask, xarray and pandas, and what those hold for nodes."""
