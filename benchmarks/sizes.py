"""How much work the cases do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Sizes of a run. The defaults are those that the targets are about."""

    repeats: int = 5
    leaves: int = 200_000
    some_leaves: int = 50_000  # for what takes a third of a millisecond a leaf
    few_leaves: int = 2_000  # for what takes longer still
    lookups: int = 1_000
    walked_leaves: int = 1_000_000
    searched: tuple[int, ...] = (30_000, 1_000_000)  # results of ten numbers
    verified: int = 100_000  # payloads
    wide_children: int = 300_000  # of one node
    commits: int = 400
    variants: int = 5_000
    files: int = 300
    captures: int = 1_000
    seconds: int = 600  # of stereo audio: 230 MB
    drawn_samples: int = 10_000_000
    windows: int = 300
    recordings: int = 200
    recording_windows: int = 3_000
    many_payloads: tuple[int, ...] = (100, 500, 5_000)
    interop_payloads: int = 10_000
    tasks: int = 200  # handed out to processes
    results_at_once: int = 2_000  # committed by four processes at once
    scale_leaves: int = 100_000
    results: int = 10_000  # of steps
    mapped: int = 2_000  # nodes, for what takes 5 ms at each
    backup_blocks: int = 400  # of 2.4 MB
    history_commits: int = 10_000
    appends: int = 2_000
    some_appends: int = 600
    few_appends: int = 200
    commits_before: tuple[int, ...] = (10, 1_000, 100_000)
    streamed_blocks: int = 256  # of 8 MiB: 2 GiB
    growth_repeats: int | None = None  # as many as repeats
    growth: tuple[int, ...] = (1, 10, 100)
    growth_leaves: int = 20_000
    growth_blocks: int = 10  # of 10 s of stereo audio: 38 MB
    growth_captures: int = 1_000
    neighbours: tuple[int, ...] = (1, 10, 100, 1_000)  # payloads, attributes, siblings or ancestors
    gigabytes: int = 12  # room on the disk
    growth_gigabytes: int = 30


QUICK = Sizes(
    repeats=3,
    leaves=20_000,
    some_leaves=5_000,
    few_leaves=500,
    lookups=300,
    walked_leaves=100_000,
    searched=(30_000,),
    verified=10_000,
    wide_children=30_000,
    commits=200,
    variants=500,
    files=50,
    captures=200,
    seconds=60,
    drawn_samples=1_000_000,
    windows=100,
    recordings=50,
    recording_windows=1_000,
    many_payloads=(100, 500),
    interop_payloads=2_000,
    tasks=50,
    results_at_once=400,
    scale_leaves=20_000,
    results=2_000,
    mapped=200,
    backup_blocks=100,
    history_commits=2_000,
    appends=400,
    some_appends=200,
    few_appends=50,
    commits_before=(10, 1_000),
    streamed_blocks=16,
    growth=(1, 10),
    growth_leaves=2_000,
    growth_blocks=2,
    growth_captures=100,
    gigabytes=2,
    growth_gigabytes=2,
)

TINY = Sizes(
    repeats=1,
    leaves=300,
    some_leaves=50,
    few_leaves=20,
    lookups=10,
    walked_leaves=1_000,
    searched=(300,),
    verified=100,
    wide_children=300,
    commits=3,
    variants=4,
    files=3,
    captures=3,
    seconds=3,
    drawn_samples=10_000,
    windows=3,
    recordings=4,
    recording_windows=10,
    many_payloads=(3, 6),
    interop_payloads=120,
    tasks=6,
    results_at_once=8,
    scale_leaves=300,
    results=20,
    mapped=6,
    backup_blocks=2,
    history_commits=30,
    appends=100,
    some_appends=8,
    few_appends=5,
    commits_before=(1, 3),
    streamed_blocks=2,
    growth=(1, 2),
    growth_leaves=100,
    growth_blocks=1,
    growth_captures=3,
    neighbours=(1, 3),
    gigabytes=1,
    growth_gigabytes=1,
)
