"""Readers of published layouts, one file each."""

from collections.abc import Mapping

from ml.data.layouts import bhsd, ct_ich, dicom_seg, instance, nifti_pairs, rsna
from ml.data.sources import Layout

LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        ct_ich.LAYOUT,
        bhsd.LAYOUT,
        instance.LAYOUT,
        rsna.LAYOUT,
        nifti_pairs.LAYOUT,
        dicom_seg.LAYOUT,
    )
}
