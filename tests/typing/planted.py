"""Mistakes that a type checker must find: each line that ends in ``# wrong`` holds one, and no other does.

It is never run.
"""
# ruff: noqa: B018

import numpy as np

from lotdb import LOTDB, BaseNode, DataNode, DataReader, DataWriter, Payload


def nodes(db: LOTDB, root: BaseNode) -> None:
    root.commit()  # wrong
    root.set_atribute("a", 1)  # wrong
    root.set_attribute("a")  # wrong
    root.get_node("a").atrs  # wrong
    root["a"].reed_data()  # wrong
    root["a"].attrs.updates({})  # wrong
    root.get_node("a", creat=True)  # wrong
    root.get_node_path("a/b", node_typ="data")  # wrong
    root.add_tree(root, if_exists="append")  # wrong
    root.add_tree("a")  # wrong
    root.add_tree(root, copi=True)  # wrong
    root.iterate_tree_level("lowest")  # wrong
    root.ingest_tree("folder", on_error="ignore")  # wrong
    root.ingest_tree("folder", batch_size="all")  # wrong
    root.rename(2.5)  # wrong
    root.delete_node("a", only_nodes=True)  # wrong
    root.get_data_node("a", samplerate=5)  # wrong
    root.get_data_node("a", samplerate_hz="fast")  # wrong
    root.payloads["a"].reed()  # wrong
    root.payloads["a"] = 5  # wrong
    root.payloads[5]  # wrong
    root.get("a").attrs  # wrong
    root.key.uper()  # wrong
    for key, node in root.items():
        key.append("x")  # wrong
        node.rename_to("x")  # wrong
    for node in root.values():
        node.pth  # wrong
    for node in root.iterate_tree():
        node.pth  # wrong


def data_nodes(root: BaseNode, node: DataNode) -> None:
    node.read_dta()  # wrong
    node.read_data(0, 10, unit="second")  # wrong
    node.read_data("0")  # wrong
    node.read_data(dataattribute="x")  # wrong
    node.read_seconds(0, 1, unit="seconds")  # wrong
    node.write_data([1.0], if_exists="overwrite")  # wrong
    node.write_data([1.0], samplerate_hz="fast")  # wrong
    node.write_data([1.0], metadata=5)  # wrong
    node.write_data([1.0], data_attribute=5)  # wrong
    node.configure_data(samplerate=5)  # wrong
    node.configure_data(unset="rate")  # wrong
    node.iter_data_blocks(10, "minutes")  # wrong
    node.iter_data_blocks("10")  # wrong
    node.delete_data(name="x")  # wrong
    node.has_data(5)  # wrong
    node.get_data().reed()  # wrong
    node.attach_file("a.wav", max_bytes="all")  # wrong
    node.samplerate_hz.lower()  # wrong
    root["a"].read_data(unit="second")  # wrong
    root["a"].write_data([1.0], if_exists="overwrite")  # wrong
    DataNode(samplerate_hz="fast")  # wrong
    DataNode(rate=5)  # wrong


def payloads(payload: Payload) -> None:
    payload.reed()  # wrong
    payload.shap  # wrong
    payload.read(0, 1, unit="second")  # wrong
    payload.read(begin=0)  # wrong
    payload.read("start")  # wrong
    payload.read_seconds(unit="seconds")  # wrong
    payload.iter_blocks(5, unit="seconds")  # wrong
    payload.export("a.wav", if_exists="append")  # wrong
    payload.name.uper()  # wrong
    payload[1:3].shap  # wrong
    payload[1.5]  # wrong
    payload.shape = (1,)  # wrong
    payload.duration_s + 1  # wrong
    if payload.kind == "audio":  # wrong
        pass
    payload.segments()[0].row  # wrong


def others(db: LOTDB, node: BaseNode) -> None:
    LOTDB("a", durability="none")  # wrong
    LOTDB("a", readonly=True)  # wrong
    LOTDB("a", timeout="1 s")  # wrong
    db.comit()  # wrong
    db.commit(5)  # wrong
    db.closed()  # wrong
    db.run(5)  # wrong
    db.open_connection(connection="x")  # wrong
    db.verify()[0].nam  # wrong
    DataReader.reed(node)  # wrong
    DataReader.read(node, name="x")  # wrong
    DataReader.read("node")  # wrong
    DataReader.read_interval(node, unit="second")  # wrong
    DataWriter.write_array(node, np.zeros(3), if_exists="overwrite")  # wrong
    DataWriter.append_array(node, np.zeros(3), samplerate_hz="fast")  # wrong
    DataWriter.write_text(node, 5)  # wrong
    DataWriter.write_bytes(node, "text")  # wrong
    DataWriter.has_data(node, name="x")  # wrong
    with db.connection() as root:
        root.commit()  # wrong
