"""The public classes for nodes: BaseNode, DataNode, DataReader and DataWriter."""
