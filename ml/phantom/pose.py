"""How the scanner looks at the head: the scan protocol, the pose of the head, the true grid.

Two coordinate systems meet here. Slices lie in LPS (`ml.volume`). Anatomy is described in the frame
of the head: x to the patient's left, y to the front, z to the top, the mid-sagittal plane at
x = 0, the origin between the ventricles, all in mm.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.volume import Grid

_LPS_TO_LAS = np.array([1.0, -1.0, 1.0])
_STEPS_MM = (1.25, 2.0, 2.5, 3.0, 4.0, 4.5, 5.0, 6.0)
_STEP_CHANCES = (0.02, 0.04, 0.1, 0.1, 0.16, 0.12, 0.36, 0.1)
"""Slice steps of head CT, and how often they are drawn."""
_UPPER_STEP_MM = 7.0


@dataclass(frozen=True)
class Scan:
    """The protocol of a scan.

    Attributes
    ----------
    num_slices, matrix, field_of_view_mm
        Size of the stack and of a square slice.
    slice_step_mm
        Distance between neighbouring slices along their normal; also their thickness.
    upper_step_mm
        The same for the upper half of the stack, where sites save slices; None if it is the same.
    centre_mm
        Height of the middle of the stack over the head's origin: at 7 mm, 160 mm reach from
        foramen to vertex.
    gantry_tilt_deg
        Rotation of the slices about the patient's left-right axis, positive as in GE head scans:
        the lower edge of the image (the back of the head) goes down. The table still moves along
        z, so that the stack is sheared.
    noise_hu
        Standard deviation of the noise in the middle of the head; drawn when None.
    blur_mm
        Width over which the kernel blurs an edge; drawn when None.
    head_holder
        Whether the head lies in a holder.
    pose_spread
        How far heads are turned and shifted at random; 0 puts them straight into the middle.
    """

    num_slices: int = 32
    matrix: int = 512
    field_of_view_mm: float = 230.0
    slice_step_mm: float = 5.0
    upper_step_mm: float | None = None
    centre_mm: float = 7.0
    gantry_tilt_deg: float = 0.0
    noise_hu: float | None = None
    blur_mm: float | None = None
    head_holder: bool = True
    pose_spread: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a protocol that no scanner has."""
        if self.num_slices < 2 or self.matrix < 32 or self.matrix % 8:
            raise ValueError(
                f"{self.num_slices} slices of {self.matrix} pixels: at least 2 of a multiple of 8"
            )
        steps = (self.slice_step_mm, self.upper_step_mm or self.slice_step_mm)
        if self.field_of_view_mm <= 0 or min(steps) <= 0 or self.pose_spread < 0:
            raise ValueError("field of view and slice step must be positive, pose spread not less")
        if abs(self.gantry_tilt_deg) > 30:
            raise ValueError(f"gantry tilt {self.gantry_tilt_deg} is beyond 30 degrees")

    @property
    def pixel_mm(self) -> float:
        """Distance between pixels."""
        return self.field_of_view_mm / self.matrix


def sample_scan(rng: np.random.Generator, *, matrix: int = 256) -> Scan:
    """Draw a protocol as sites have them.

    Slices of 1.25 to 6 mm, some stacks with thicker slices in their upper half, a tilted gantry in
    every third scan, a field of view that begins above or below the skull base.
    """
    step_mm = float(rng.choice(_STEPS_MM, p=_STEP_CHANCES))
    upper_mm = _UPPER_STEP_MM if step_mm >= 4 and rng.uniform() < 0.25 else step_mm
    scanned_mm = rng.uniform(145, 180)
    return Scan(
        num_slices=round(2 * scanned_mm / (step_mm + upper_mm)),
        matrix=matrix,
        field_of_view_mm=rng.uniform(210, 250),
        slice_step_mm=step_mm,
        upper_step_mm=upper_mm,
        centre_mm=rng.uniform(0, 12),
        gantry_tilt_deg=rng.uniform(-8, 22) if rng.uniform() < 0.35 else 0.0,
        head_holder=rng.uniform() < 0.85,
    )


@dataclass(frozen=True, eq=False)
class Pose:
    """Where the head lies: head = rotation @ (las - shift).

    Attributes
    ----------
    rotation
        Shape (3, 3).
    shift_mm
        Shape (3,), position of the head's origin; x left, y front, z top of the scanner.
    """

    rotation: NDArray[np.float64]
    shift_mm: NDArray[np.float64]

    def head_of_point(self, position_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring positions, shape (..., 3), from LPS mm to the frame of the head."""
        head: NDArray[np.float64] = (position_mm * _LPS_TO_LAS - self.shift_mm) @ self.rotation.T
        return head

    def head_of_direction(self, direction: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring directions, shape (..., 3), from LPS to the frame of the head."""
        head: NDArray[np.float64] = (direction * _LPS_TO_LAS) @ self.rotation.T
        return head


def sample_pose(rng: np.random.Generator, spread: float) -> Pose:
    """Draw a pose; `spread` 1 turns a head by 6, 5 and 2.5 degrees (standard deviations)."""
    turns_deg = rng.normal(0, (6.0, 5.0, 2.5)) * spread
    yaw, pitch, roll = np.deg2rad(np.clip(turns_deg, (-18, -13, -8), (18, 13, 8)))
    shift_mm = rng.normal(0, (5.0, 5.0, 4.0)) * spread
    about_z = [[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    about_y = [[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]]
    rotation = np.array(about_z) @ np.array(about_x) @ np.array(about_y)
    return Pose(rotation=rotation, shift_mm=shift_mm)


def make_grid(scan: Scan) -> Grid:
    """Lay the slices of a scan, feet to head, around the middle of the gantry.

    Rows run to the patient's left, columns to the back. With a tilt the columns turn about x, and
    the origins step along the table, as PS3.3 C.7.6.2.1.1 describes any plane.
    """
    tilt = np.deg2rad(scan.gantry_tilt_deg)
    row_direction = np.array([1.0, 0.0, 0.0])
    column_direction = np.array([0.0, np.cos(tilt), -np.sin(tilt)])
    steps_mm = np.full(scan.num_slices - 1, scan.slice_step_mm)
    steps_mm[len(steps_mm) // 2 :] = scan.upper_step_mm or scan.slice_step_mm
    heights_mm = np.append(0.0, np.cumsum(steps_mm)) / np.cos(tilt)
    centres_mm = np.zeros((scan.num_slices, 3))
    centres_mm[:, 2] = heights_mm - heights_mm[-1] / 2 + scan.centre_mm
    half_mm = (scan.matrix - 1) / 2 * scan.pixel_mm
    return Grid(
        slice_origins_mm=centres_mm - half_mm * (row_direction + column_direction),
        row_direction=row_direction,
        column_direction=column_direction,
        pixel_spacing_mm=(scan.pixel_mm, scan.pixel_mm),
        rows=scan.matrix,
        columns=scan.matrix,
    )


def true_midline(pose: Pose, grid: Grid, *, skew: float = 0.0) -> tuple[float, NDArray[np.float64]]:
    """Say where the midline plane, x = skew * y in the frame of the head, cuts the slices.

    Returns
    -------
    tuple
        yaw in degrees and, for each slice, x0 in mm: the midline of a slice is the line
        cos(yaw) (x - x0) + sin(yaw) y = 0, with x along the row direction, y along the column
        direction and both counted in mm from the middle of the image.
    """
    normal = np.array([1.0, -skew, 0.0])
    across = float(pose.head_of_direction(grid.row_direction) @ normal)
    down = float(pose.head_of_direction(grid.column_direction) @ normal)
    middle = np.array([(grid.rows - 1) / 2, (grid.columns - 1) / 2])
    index = np.column_stack([np.arange(grid.shape[0]), np.tile(middle, (grid.shape[0], 1))])
    off_midline_mm = pose.head_of_point(grid.positions_mm(index)) @ normal
    return float(np.rad2deg(np.arctan2(down, across))), -off_midline_mm / across
