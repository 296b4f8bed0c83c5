"""The public faces of a node: BaseNode, DataNode, DataReader and DataWriter."""
