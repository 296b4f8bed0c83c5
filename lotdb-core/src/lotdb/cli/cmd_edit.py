"""``lotdb branch``, ``lotdb move`` and ``lotdb rm``: changes of the tree."""

from __future__ import annotations

import click

from lotdb.cli.targets import (
    as_example,
    changing,
    database_options,
    node_at,
    paths,
    payload_of,
    timeout_option,
)

__all__ = ["branch_command", "move_command", "rm_command"]


@click.command("branch", epilog=as_example("lotdb branch results sensor_01 sensor_01_filtered"))
@database_options
@click.argument("path", shell_complete=paths)
@click.argument("key")
@timeout_option
def branch_command(
    database: str, name: str, settings: tuple[str, ...], path: str, key: str, timeout: float | None
) -> None:
    """Copy the node PATH, and all below it, and put the copy beside it as KEY. No data are copied."""
    if "/" in key:
        last = key.strip("/").rpartition("/")[2] or "copy"
        raise click.UsageError(
            f"the copy is put beside the node, so KEY is a name without '/', such as {last!r}; lotdb move "
            "puts it elsewhere",
            click.get_current_context(),
        )
    with changing(database, name, settings, timeout=timeout) as (_, root):
        node = node_at(root, path)
        if node.parent is None:
            raise click.UsageError(
                "the root cannot be branched, as nothing is beside it; name a node below it",
                click.get_current_context(),
            )
        node.branch(key)


@click.command("move", epilog=as_example("lotdb move results sensor_01/raw archive/sensor_01"))
@database_options
@click.argument("path", shell_complete=paths)
@click.argument("new_path", shell_complete=paths)
@timeout_option
def move_command(
    database: str, name: str, settings: tuple[str, ...], path: str, new_path: str, timeout: float | None
) -> None:
    """Move the node PATH, and all below it, to NEW_PATH, whose parent exists."""
    with changing(database, name, settings, timeout=timeout) as (_, root):
        above, _slash, key = new_path.strip("/").rpartition("/")
        if not key:
            raise click.UsageError(
                "NEW_PATH is that of the root; write where the node is to be, such as archive/sensor_01",
                click.get_current_context(),
            )
        node = node_at(root, path)
        if node.parent is None:
            raise click.UsageError(
                "the root cannot be moved; name a node below it", click.get_current_context()
            )
        node.move(node_at(root, above), key)


@click.command(
    "rm",
    epilog=as_example(
        "lotdb rm results sensor_01/capture_0001",
        "lotdb rm results sensor_01 --recursive",
        "lotdb rm results sensor_01/capture_0002 --payload imu",
    ),
)
@database_options
@click.argument("node_paths", nargs=-1, required=True, metavar="PATH...", shell_complete=paths)
@click.option("-r", "--recursive", is_flag=True, help="Also delete what is below.")
@click.option("--payload", metavar="NAME", help="Delete this payload, and not the node.")
@click.option("--attribute", metavar="NAME", help="Delete this attribute, and not the node.")
@timeout_option
def rm_command(
    database: str,
    name: str,
    settings: tuple[str, ...],
    node_paths: tuple[str, ...],
    recursive: bool,
    payload: str | None,
    attribute: str | None,
    timeout: float | None,
) -> None:
    """Delete the nodes at these paths, all or none. `lotdb pack` frees their space."""
    with changing(database, name, settings, timeout=timeout) as (_, root):
        gone: list[str] = []
        for node in [node_at(root, path) for path in node_paths]:
            if any(f"{node.path}/".startswith(f"{path}/") for path in gone):
                continue
            if payload is not None or attribute is not None:
                if payload is not None:
                    payload_of(node, payload)
                    root.get_data_node(node.path).delete_data(payload)
                if attribute is not None:
                    node.delete_attribute(attribute)
                continue
            if node.parent is None:
                raise click.UsageError(
                    "the root cannot be deleted; name a node below it", click.get_current_context()
                )
            if not recursive and len(node):
                below = "a child" if len(node) == 1 else f"{len(node)} children"
                raise click.UsageError(
                    f"{node.path!r} has {below}; to delete what is below it, too, add --recursive",
                    click.get_current_context(),
                )
            gone.append(node.path)
            node.delete_tree()
