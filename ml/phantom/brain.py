"""The content of the cranial cavity without blood and dura: fluid, grey and white matter."""

import numpy as np

from ml.phantom.anatomy import Head
from ml.phantom.plane import Plane, cut
from ml.phantom.shapes import Field, Point, blend, ellipsoid, inside, ramp, slit
from ml.phantom.spaces import FAR_MM, Spaces


def paint_brain(plane: Plane, head: Head, spaces: Spaces) -> Field:
    """Paint grey and white matter and the fluid around and in them, HU."""
    brain = head.brain
    edge = plane.edge_mm
    grey = _grey_share(plane, spaces)
    tissue = brain.white_hu + (brain.grey_hu - brain.white_hu) * grey
    tissue += 0.6 * plane.mottle + brain.patchiness_hu * plane.drift
    lateral = np.clip(1 - spaces.ventricles / 14, 0, 1)
    tissue -= head.mimics.leukoaraiosis_hu * lateral * (1 - grey) * (1 - spaces.cerebellum)
    if head.mimics.oedema is not None:
        *centre, radius_mm = head.mimics.oedema
        swelling = ellipsoid(spaces.place, (centre[0], centre[1], centre[2]), (radius_mm,) * 3)
        darken_white_matter(tissue, plane, spaces, swelling + 4 * plane.drift, width_mm=8.0)
    _paint_infarct(tissue, plane, head, spaces)
    share = fluid_share(spaces, edge)
    hu = brain.csf_hu + inside(-spaces.depth, edge * 1.3) * (1 - share) * (tissue - brain.csf_hu)
    ventricle = np.minimum(spaces.ventricles, spaces.fourth_ventricle)
    blend(hu, inside(ventricle, edge * 1.2) * inside(spaces.wall + 4, 2), brain.csf_hu - 2)
    return hu


def fluid_share(spaces: Spaces, edge_mm: float) -> Field:
    """Share of subarachnoid fluid in sulci, fissures and cisterns."""
    width = spaces.sulcus_width
    sulci = slit(spaces.sulci, width, edge_mm)
    fissure = slit(np.abs(spaces.place[0]), spaces.fissure_width, edge_mm)
    share: Field = np.maximum(sulci, fissure)
    share = np.maximum(share, inside(spaces.sylvian, edge_mm * 1.5))
    np.maximum(share, inside(spaces.cisterns, edge_mm * 1.5), out=share)
    return share


def _grey_share(plane: Plane, spaces: Spaces) -> Field:
    """Share of grey matter: cortex along the pia, deep nuclei, folia of the cerebellum."""
    x, y, z = spaces.place
    side = np.abs(x)
    cortex = np.minimum(
        spaces.depth,
        np.where(spaces.sulcus_width > 0.04, spaces.sulci - spaces.sulcus_width, np.float32(9)),
    )
    cortex = np.minimum(cortex, np.maximum(spaces.sylvian, 0))
    fissure = np.where(spaces.fissure_width > 0.1, side - spaces.fissure_width, FAR_MM)
    cortex = np.minimum(cortex, fissure)
    grey = ramp(3.6 + 0.8 * plane.mottle - cortex, 1.6)
    if spaces.grey is not None:
        # the average has the deep nuclei and the broad pattern, the individual its own cortex
        average = ramp(spaces.grey - 0.5 + 0.1 * plane.mottle, 0.55)
        cortical = grey * ramp(spaces.grey - 0.15, 0.3)
        return np.asarray(np.maximum(0.92 * average, cortical))
    nuclei: tuple[tuple[Point, Point], ...] = (
        ((12.0, 19.0, 8.0), (5.5, 10.0, 9.0)),
        ((9.5, -8.0, 5.0), (8.0, 13.0, 9.0)),
        ((25.0, 4.0, 3.0), (7.5, 15.0, 9.0)),
    )
    for centre, radii in nuclei:
        for sign in (-1.0, 1.0):
            window = plane.near((sign * centre[0], centre[1], centre[2]), max(radii) + 12)
            if window is None:
                continue
            nucleus = ellipsoid((sign * x[window], y[window], z[window]), centre, radii)
            nucleus += 0.8 * plane.mottle[window] + 1.2 * plane.drift[window]
            grey[window] = np.maximum(grey[window], 0.75 * inside(nucleus, 4))
    folia = np.clip(0.55 + 0.3 * plane.mottle + 0.3 * np.sin(spaces.sulci * 2.2), 0, 1)
    blend(grey, spaces.cerebellum, folia)
    return grey


def darken_white_matter(
    hu: Field, plane: Plane, spaces: Spaces, distance: Field, *, width_mm: float
) -> None:
    """Darken white matter by oedema, in place; it spreads in fingers and spares the cortex.

    Parameters
    ----------
    hu
        Tissue, HU.
    distance
        Signed distance to what swells, mm; the oedema fades out over `width_mm` around it.
    """
    cortex = np.minimum(spaces.depth, spaces.sulci)
    white = ramp(cortex - 4 + plane.mottle, 2)
    hu -= 9 * white * np.clip(1 - distance / width_mm, 0, 1)


def _paint_infarct(tissue: Field, plane: Plane, head: Head, spaces: Spaces) -> None:
    """Paint an infarct: dark when fresh, nearly fluid when old."""
    if head.mimics.infarct is None:
        return
    *centre, radius_mm = head.mimics.infarct
    window = plane.near((centre[0], centre[1], centre[2]), radius_mm * 2)
    if window is None:
        return
    x, y, z = cut(spaces.place, window)
    distance = ellipsoid((x, y, z), (centre[0], centre[1], centre[2]), (radius_mm,) * 3)
    distance += 0.35 * radius_mm * plane.drift[window] + plane.mottle[window]
    share = head.mimics.infarct_share * inside(distance, 3)
    blend(tissue[window], share, head.brain.csf_hu + 4)
