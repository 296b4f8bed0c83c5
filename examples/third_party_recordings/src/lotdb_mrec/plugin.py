"""The door through which LOTDB finds the ingester, the node type and the value type."""

from lotdb import BaseNode, IngestedNode, SourceFile, ValueType, hookimpl


@hookimpl
def lotdb_identify_file(source: SourceFile) -> str | None:
    return "mrec" if source.head.startswith(b"MREC1") else None


@hookimpl
def lotdb_ingest_file(source: SourceFile) -> IngestedNode | None:
    if source.format != "mrec":
        return None
    from lotdb_mrec.ingester import ingest

    return ingest(source)


@hookimpl
def lotdb_get_node_type(name: str) -> type[BaseNode] | None:
    if name != "mrec.recording":
        return None
    from lotdb_mrec.recording import Recording

    return Recording


@hookimpl
def lotdb_get_value_types() -> list[ValueType]:
    from lotdb_mrec.calibration import CALIBRATION

    return [CALIBRATION]
