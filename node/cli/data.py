"""``midline data``: make a data set of a published layout or of phantoms, show and verify one."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from config.errors import UsageError
from node.cli.border import PROGRAM, complain
from node.cli.output import AsJson, progress, write_facts, write_json, write_table

if TYPE_CHECKING:
    from ml.data.manifest import Entry, Manifest
    from ml.data.prepare import Making

LayoutName = Literal["ct-ich", "bhsd", "instance", "rsna", "nifti", "dicom-seg"]
"""As `ml.data.layouts.LAYOUTS`, which would take seconds to import; a test compares them."""
MissingMasksName = Literal["refuse", "unlabelled", "empty"]
SubtypeName = Literal["IPH", "IVH", "EDH", "SDH", "SAH"]
DifficultyName = Literal["easy", "standard", "hard"]

Out = Annotated[Path, typer.Option("--out", help="Folder of the data set; must not exist yet.")]
Seed = Annotated[int, typer.Option("--split-seed", help="Another seed, another division.")]
SharesText = Annotated[
    str,
    typer.Option(
        "--shares",
        metavar="TRAIN,VALIDATION,TEST",
        help="Share of the patients in each split; together 1.",
    ),
]
DEFAULT_SHARES = "0.7,0.1,0.2"
MissingMasksOption = Annotated[
    MissingMasksName,
    typer.Option(
        help="A study without a mask is a fault, or unlabelled, or read as free of blood."
    ),
]
FollowImages = Annotated[
    bool,
    typer.Option(
        "--masks-follow-images",
        help="Take voxels of NIfTI masks as those of their images, whatever their headers say.",
    ),
]
Binary = Annotated[
    bool, typer.Option("--binary", help="Layout nifti: masks say only where it bleeds.")
]
OneSubtype = Annotated[
    SubtypeName | None, typer.Option(help="Layout nifti: masks outline this subtype.")
]
SkipFaulty = Annotated[
    bool, typer.Option("--skip-faulty", help="Leave faulty studies out, and record them.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False, help="File with a secret: hashes of patients cannot be guessed then."
    ),
]

app = typer.Typer(help="Make a data set of labelled studies, show and verify one.")


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(help="Folder with the studies.")],
    *,
    layout: Annotated[LayoutName, typer.Option(help="How the studies lie in it; docs/data.md.")],
    out: Out,
    split_seed: Seed = 0,
    shares: SharesText = DEFAULT_SHARES,
    missing_masks: MissingMasksOption = "refuse",
    masks_follow_images: FollowImages = False,
    binary: Binary = False,
    subtype: OneSubtype = None,
    skip_faulty: SkipFaulty = False,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a data set of studies in a published layout, split by patient."""
    if layout != "nifti" and (binary or subtype):
        raise UsageError("--binary and --subtype are for the layout nifti")
    making, key = _making(shares, split_seed), _key(key_file)
    with progress("looking for studies", total=None, shown=not as_json):
        from ml.data.layouts import LAYOUTS  # noqa: PLC0415 - numpy and pydicom take a second
        from ml.data.prepare import find_studies  # noqa: PLC0415
        from ml.data.prepare import prepare as prepare_studies  # noqa: PLC0415
        from ml.data.sources import MissingMasks, Options  # noqa: PLC0415
        from ml.volume import Subtype  # noqa: PLC0415

        options = Options(
            missing_masks=MissingMasks(missing_masks),
            masks_follow_images=masks_follow_images,
            binary=binary,
            subtype=None if subtype is None else Subtype[subtype],
        )
        found = find_studies(source, LAYOUTS[layout], options)
    with progress("reading studies", total=len(found), shown=not as_json) as bar:
        manifest = prepare_studies(
            found,
            out,
            layout=LAYOUTS[layout],
            options=options,
            making=making,
            key=key,
            skip_faulty=skip_faulty,
            step=bar.step,
        )
    _tell(out, manifest, as_json=as_json)


@app.command()
def phantoms(
    *,
    out: Out,
    num: Annotated[int, typer.Option(min=1, help="How many patients.")],
    first_seed: Annotated[
        int, typer.Option(min=0, help="Seed of the first patient; the others follow.")
    ],
    healthy: Annotated[float, typer.Option(min=0, max=1, help="Share without a bleed.")] = 0.37,
    difficulty: Annotated[
        DifficultyName, typer.Option(help="How far brightness alone tells blood.")
    ] = "standard",
    matrix: Annotated[int, typer.Option(min=32, max=1024, help="Rows and columns.")] = 256,
    template_share: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share drawn from the folder that MIDLINE_TEMPLATES names."
        ),
    ] = 0.0,
    split_seed: Seed = 0,
    shares: SharesText = DEFAULT_SHARES,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make phantoms.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Make a data set of synthetic heads; the same seeds give the same studies."""
    making = _making(shares, split_seed)
    from ml.data.synthetic import prepare_phantoms  # noqa: PLC0415 - as above
    from ml.phantom import Difficulty, Population  # noqa: PLC0415 - as above

    with progress("making phantoms", total=num, shown=not as_json) as bar:
        manifest = prepare_phantoms(
            out,
            range(first_seed, first_seed + num),
            population=Population(healthy, Difficulty(difficulty), matrix, template_share),
            making=making,
            num_workers=workers,
            step=bar.step,
        )
    _tell(out, manifest, as_json=as_json)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Count studies by split, subtype and thickness, and verify the digest of every file."""
    from ml.data.manifest import read_manifest, verify  # noqa: PLC0415 - as above

    manifest = read_manifest(folder)
    with progress("verifying files", total=len(manifest.studies), shown=not as_json) as bar:
        faults = verify(folder, manifest, step=bar.step)
    _tell(folder, manifest, as_json=as_json, faults=faults)
    for fault in faults:
        complain(f"{folder}: {fault}")
    if faults:
        raise typer.Exit(1)


def _making(shares: str, split_seed: int) -> "Making":
    from ml.data.prepare import Making  # noqa: PLC0415 - as above
    from ml.data.splits import Shares  # noqa: PLC0415

    try:
        train, validation, test = (float(part) for part in shares.split(","))
    except ValueError as error:
        raise UsageError(f"--shares is {shares!r}, not three numbers like 0.7,0.1,0.2") from error
    return Making(
        now=datetime.now(UTC),
        code_version=version(PROGRAM),
        shares=Shares(train, validation, test),
        split_seed=split_seed,
    )


def _key(path: Path | None) -> bytes:
    if path is None:
        return b""
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})") from error
    if not key:
        raise UsageError(f"{path} is empty: it holds no secret")
    return key


def _tell(
    folder: Path, manifest: "Manifest", *, as_json: bool, faults: Sequence[str] | None = None
) -> None:
    """Write what a data set holds; `faults` is None if its files were not verified."""
    splits = {split: manifest.of(split) for split in _splits()}
    if as_json:
        told: dict[str, Any] = {
            "folder": folder,
            "layout": manifest.layout,
            "created": manifest.created,
            "code_version": manifest.code_version,
            "digest": manifest.digest,
            "options": manifest.options,
            "splits": {str(split): _counts(entries) for split, entries in splits.items()},
            "skipped": [{"study_id": s.study_id, "fault": s.fault} for s in manifest.skipped],
        }
        write_json(told if faults is None else {**told, "faults": list(faults)})
        return
    write_table(
        f"Data set {folder}",
        (
            "Split",
            *(f">{name}" for name in ("Patients", "Studies", "Bleed", "No bleed", "Unknown")),
            *(f">{name}" for name in _subtypes()),
            "Labels",
            "Thickness, mm",
        ),
        [
            _row(str(split), entries)
            for split, entries in (*splits.items(), ("all", manifest.studies))
        ],
    )
    write_facts(
        [
            ("Layout", manifest.layout),
            ("Made", f"{manifest.created} by {PROGRAM} {manifest.code_version}"),
            ("Digest", manifest.digest),
            ("Left out", f"{len(manifest.skipped)} faulty studies" if manifest.skipped else None),
            ("Files", None if faults is None else "changed" if faults else "verified"),
        ]
    )


def _counts(entries: "Sequence[Entry]") -> dict[str, Any]:
    bleeds = Counter(entry.bleeds for entry in entries)
    return {
        "patients": len({entry.patient_id for entry in entries}),
        "studies": len(entries),
        "bleed": bleeds[True],
        "no_bleed": bleeds[False],
        "unknown": bleeds[None],
        "subtypes": {name: sum(name in e.subtypes for e in entries) for name in _subtypes()},
        "labels": dict(Counter(str(entry.labels) for entry in entries)),
        "slice_thickness_mm": dict(
            sorted(Counter(f"{entry.slice_thickness_mm:.1f}" for entry in entries).items())
        ),
    }


def _row(name: str, entries: "Sequence[Entry]") -> tuple[object, ...]:
    counts = _counts(entries)
    return (
        name,
        *(counts[key] for key in ("patients", "studies", "bleed", "no_bleed", "unknown")),
        *counts["subtypes"].values(),
        ", ".join(f"{number} {kind}" for kind, number in counts["labels"].items()),
        ", ".join(f"{number} of {mm}" for mm, number in counts["slice_thickness_mm"].items()),
    )


def _splits() -> tuple[Any, ...]:
    from ml.data.splits import Split  # noqa: PLC0415 - as above

    return tuple(Split)


def _subtypes() -> tuple[str, ...]:
    from ml.volume import Subtype  # noqa: PLC0415 - as above

    return tuple(subtype.name for subtype in Subtype)
