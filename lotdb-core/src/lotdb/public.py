"""The public names, from the rooms that define them. ``lotdb`` hands them on; take them from there.

Those that most programs never use are loaded when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lotdb.database import LOTDB
from lotdb.database.session import Savepoint
from lotdb.errors import (
    AttributeNotFoundError,
    ClosedError,
    CodeChangedWarning,
    CommitInDoubtError,
    ConflictError,
    DamagedError,
    DatabaseBusyError,
    DatabaseExistsError,
    DatabaseFormatError,
    DatabaseNotFoundError,
    DataMismatchError,
    DisconnectedError,
    ExportError,
    FileSystemError,
    IngestError,
    InvalidConditionError,
    InvalidDataError,
    InvalidIndexError,
    InvalidKeyError,
    InvalidMoveError,
    InvalidOptionError,
    InvalidRangeError,
    InvalidStepError,
    ListenerWarning,
    LotdbError,
    MissingPluginError,
    MomentGoneError,
    MomentNotFoundError,
    NoAxisError,
    NodeExistsError,
    NodeNotFoundError,
    NotAResultError,
    PayloadExistsError,
    PayloadNotFoundError,
    PluginError,
    ReadOnlyError,
    RenamedArgumentError,
    RenamedError,
    StaleNodeError,
    StaleResultError,
    StepAccessError,
    StepError,
    StepFailedError,
    StepResultError,
    UnavailableError,
    UnsafeRecordError,
    UnsupportedValueError,
    ValueTooLargeError,
    WaitTimeoutError,
    WrongNodeError,
    WrongNodeTypeError,
    WrongThreadError,
)
from lotdb.interfaces.storage import Storage, StorageContext
from lotdb.node_api.nodes import BaseNode, DataNode
from lotdb.registry.registry import Plugins, plugins
from lotdb.storage.parts import open_part

if TYPE_CHECKING:
    from lotdb.backups.restore import restore
    from lotdb.content.payload import Payload, read_many
    from lotdb.content.stored_segment import StoredSegment
    from lotdb.content.usage import Usage
    from lotdb.converting.convert import convert
    from lotdb.converting.convert_report import ConvertReport
    from lotdb.database.commits import Commit
    from lotdb.database.copied import BackupReport, ReportNote
    from lotdb.database.stats import Stats
    from lotdb.database.upkeep import Damage
    from lotdb.files.folders import IngestReport
    from lotdb.files.tree_index import IngestedTree, TreeIndex
    from lotdb.hookspecs import hookimpl
    from lotdb.interfaces.at_once import at_once
    from lotdb.interfaces.backend import Backend, BackendContext
    from lotdb.interfaces.ingester import Ingested, IngestedNode, TargetFile
    from lotdb.interfaces.object_store import ObjectStore
    from lotdb.interfaces.row_blocks import Blocks
    from lotdb.interfaces.sources import SourceFile
    from lotdb.interop.labels import NodeDataset, NodeDatasets, NodeVariable
    from lotdb.node_api.reader_writer import DataReader, DataWriter
    from lotdb.queries.conditions import attr, payload
    from lotdb.queries.diff import diff
    from lotdb.registry.listing import PluginInfo
    from lotdb.salvaging.findings import SalvageReport
    from lotdb.salvaging.salvaged import salvage
    from lotdb.tree.changes import Change, Changes, PayloadInfo
    from lotdb.upgrading.report import UpgradeReport
    from lotdb.upgrading.upgrade import upgrade
    from lotdb.values.undecodable import Undecodable
    from lotdb.values.valuetype import ValueType

_LATER = {
    "restore": "lotdb.backups.restore",
    "Payload": "lotdb.content.payload",
    "StoredSegment": "lotdb.content.stored_segment",
    "read_many": "lotdb.content.payload",
    "Usage": "lotdb.content.usage",
    "convert": "lotdb.converting.convert",
    "ConvertReport": "lotdb.converting.convert_report",
    "Commit": "lotdb.database.commits",
    "BackupReport": "lotdb.database.copied",
    "ReportNote": "lotdb.database.copied",
    "Stats": "lotdb.database.stats",
    "Damage": "lotdb.database.upkeep",
    "IngestReport": "lotdb.files.folders",
    "IngestedTree": "lotdb.files.tree_index",
    "TreeIndex": "lotdb.files.tree_index",
    "hookimpl": "lotdb.hookspecs",
    "at_once": "lotdb.interfaces.at_once",
    "Backend": "lotdb.interfaces.backend",
    "BackendContext": "lotdb.interfaces.backend",
    "Ingested": "lotdb.interfaces.ingester",
    "IngestedNode": "lotdb.interfaces.ingester",
    "TargetFile": "lotdb.interfaces.ingester",
    "ObjectStore": "lotdb.interfaces.object_store",
    "Blocks": "lotdb.interfaces.row_blocks",
    "SourceFile": "lotdb.interfaces.sources",
    "NodeDataset": "lotdb.interop.labels",
    "NodeDatasets": "lotdb.interop.labels",
    "NodeVariable": "lotdb.interop.labels",
    "DataReader": "lotdb.node_api.reader_writer",
    "DataWriter": "lotdb.node_api.reader_writer",
    "attr": "lotdb.queries.conditions",
    "payload": "lotdb.queries.conditions",
    "diff": "lotdb.queries.diff",
    "PluginInfo": "lotdb.registry.listing",
    "SalvageReport": "lotdb.salvaging.findings",
    "salvage": "lotdb.salvaging.salvaged",
    "Change": "lotdb.tree.changes",
    "Changes": "lotdb.tree.changes",
    "PayloadInfo": "lotdb.tree.changes",
    "UpgradeReport": "lotdb.upgrading.report",
    "upgrade": "lotdb.upgrading.upgrade",
    "Undecodable": "lotdb.values.undecodable",
    "ValueType": "lotdb.values.valuetype",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_LATER[name]), name)
        return found


__all__ = [
    "LOTDB",
    "AttributeNotFoundError",
    "Backend",
    "BackendContext",
    "BackupReport",
    "BaseNode",
    "Blocks",
    "Change",
    "Changes",
    "ClosedError",
    "CodeChangedWarning",
    "Commit",
    "CommitInDoubtError",
    "ConflictError",
    "ConvertReport",
    "Damage",
    "DamagedError",
    "DataMismatchError",
    "DataNode",
    "DataReader",
    "DataWriter",
    "DatabaseBusyError",
    "DatabaseExistsError",
    "DatabaseFormatError",
    "DatabaseNotFoundError",
    "DisconnectedError",
    "ExportError",
    "FileSystemError",
    "IngestError",
    "IngestReport",
    "Ingested",
    "IngestedNode",
    "IngestedTree",
    "InvalidConditionError",
    "InvalidDataError",
    "InvalidIndexError",
    "InvalidKeyError",
    "InvalidMoveError",
    "InvalidOptionError",
    "InvalidRangeError",
    "InvalidStepError",
    "ListenerWarning",
    "LotdbError",
    "MissingPluginError",
    "MomentGoneError",
    "MomentNotFoundError",
    "NoAxisError",
    "NodeDataset",
    "NodeDatasets",
    "NodeExistsError",
    "NodeNotFoundError",
    "NodeVariable",
    "NotAResultError",
    "ObjectStore",
    "Payload",
    "PayloadExistsError",
    "PayloadInfo",
    "PayloadNotFoundError",
    "PluginError",
    "PluginInfo",
    "Plugins",
    "ReadOnlyError",
    "RenamedArgumentError",
    "RenamedError",
    "ReportNote",
    "SalvageReport",
    "Savepoint",
    "SourceFile",
    "StaleNodeError",
    "StaleResultError",
    "Stats",
    "StepAccessError",
    "StepError",
    "StepFailedError",
    "StepResultError",
    "Storage",
    "StorageContext",
    "StoredSegment",
    "TargetFile",
    "TreeIndex",
    "UnavailableError",
    "Undecodable",
    "UnsafeRecordError",
    "UnsupportedValueError",
    "UpgradeReport",
    "Usage",
    "ValueTooLargeError",
    "ValueType",
    "WaitTimeoutError",
    "WrongNodeError",
    "WrongNodeTypeError",
    "WrongThreadError",
    "at_once",
    "attr",
    "convert",
    "diff",
    "hookimpl",
    "open_part",
    "payload",
    "plugins",
    "read_many",
    "restore",
    "salvage",
    "upgrade",
]
