"""Content items of the report: the measurement groups of TID 1410, 1411 and 1501, and their parts.

The composition follows what viewers and validators were seen to take. All groups of one subtype
share a tracking UID: a viewer merges them, draws the first region and shows all their numbers. The
first finding site names the place, since some viewers show that and no finding.
"""

from collections.abc import Sequence

import highdicom as hd
import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    ReferencedSegment,
    SourceImageForRegion,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from ml.findings import Finding, Side
from ml.midline_shift import MidlineShift
from node.results import codes
from node.results.identity import ModelIdentity, ResultContext

VOLUME_DIGITS = 2
LENGTH_DIGITS = 1
HU_DIGITS = 1
AREA_DIGITS = 1
PERCENT_DIGITS = 1


def identify_algorithm(model: ModelIdentity) -> AlgorithmIdentification:
    """TID 4019: name and version, the rows that every edition of the template has."""
    return AlgorithmIdentification(name=model.name, version=model.version)


def observe(context: ResultContext) -> hd.sr.ObservationContext:
    """TID 1001: the model is the device observer (IHE AIR 6.5.3.1)."""
    return hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(
            observer_type=hd.sr.CodedConcept.from_code(codes.DEVICE),
            observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
                uid=context.model.device_uid,
                name=context.node.ae_title,
                manufacturer_name=context.model.manufacturer,
                model_name=context.model.name,
                serial_number=context.node.serial,
            ),
        )
    )


def subtype_group(
    context: ResultContext,
    finding: Finding,
    *,
    segmentation: Dataset | None,
    segment_number: int,
    series_instance_uid: str,
) -> hd.sr.templates.Template:
    """Measurements of a subtype: TID 1411 on its segment, or TID 1501 if there is no segmentation.

    Parameters
    ----------
    context
        Fixes the tracking UID and names the algorithm.
    finding
        What was measured.
    segmentation
        The Segmentation object, or None for a destination that takes none.
    segment_number
        Number of the segment; of no effect without a segmentation.
    series_instance_uid
        The series that was segmented.
    """
    terms = codes.SUBTYPES[finding.subtype]
    tracking = _track(context, terms.tracking_identifier)
    measurements = _volume_measurements(finding, identify_algorithm(context.model))
    if segmentation is None:
        return MeasurementsAndQualitativeEvaluations(
            tracking_identifier=tracking,
            finding_type=terms.finding,
            finding_sites=_sites(terms.sites, finding.side),
            measurements=measurements,
        )
    source = SourceSeriesForSegmentation(series_instance_uid)
    # highdicom 0.28 writes another meaning than PS3.16 has
    source.ConceptNameCodeSequence[0].CodeMeaning = codes.SOURCE_SERIES_FOR_SEGMENTATION.meaning
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        referenced_segment=ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=segment_number,
            source_series=source,
        ),
        finding_type=terms.finding,
        finding_sites=_sites(terms.sites, finding.side),
        measurements=measurements,
    )


def region_groups(
    context: ResultContext, finding: Finding, images: Sequence[SourceImageForRegion]
) -> list[PlanarROIMeasurementsAndQualitativeEvaluations]:
    """TID 1410: key outline of a subtype, the box around it, and outlines of further lesions.

    The box is for consumers that want detections, and carries the score. It also keeps the number
    of regions in a report above one: at exactly one, a validator takes every group for a region.

    Parameters
    ----------
    context
        Fixes the tracking UIDs and names the algorithm.
    finding
        What was measured.
    images
        Reference to the image or frame of each slice of the analysed volume.
    """
    algorithm = identify_algorithm(context.model)
    key, *further = finding.outlines
    score = Measurement(
        name=codes.CERTAINTY_OF_FINDING,
        value=round(finding.certainty_percent, PERCENT_DIGITS),
        unit=codes.PERCENT,
        algorithm_id=algorithm,
    )
    box = _region_group(
        context,
        finding,
        label=key.label,
        points=_box(key.points),
        image=images[key.slice_index],
        measurement=score,
        purpose=codes.BOUNDED_BY,
    )
    outlines = [
        _region_group(
            context,
            finding,
            label=outline.label,
            points=outline.points,
            image=images[outline.slice_index],
            measurement=Measurement(
                name=codes.AREA,
                value=round(outline.area_mm2, AREA_DIGITS),
                unit=codes.SQUARE_MILLIMETRE,
                algorithm_id=algorithm,
            ),
        )
        for outline in (key, *further)
    ]
    return [outlines[0], box, *outlines[1:]]


def midline_shift_group(
    context: ResultContext, shift: MidlineShift, image: SourceImageForRegion
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    """TID 1410: the midline shift, drawn there and back, since the line of a region is closed.

    The laterality of its site is the side on which the middle of the brain now lies.

    Parameters
    ----------
    context
        Fixes the tracking UID and names the algorithm.
    shift
        What was measured.
    image
        Reference to the image or frame of its slice.
    """
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_track(context, codes.MIDLINE_SHIFT_TRACKING),
        referenced_region=hd.sr.ImageRegion(
            graphic_type=hd.sr.GraphicTypeValues.POLYLINE,
            graphic_data=shift.points[[0, 1, 0]],
            source_image=image,
        ),
        finding_type=codes.MIDLINE_SHIFT,
        finding_sites=_sites([codes.BRAIN], shift.side),
        measurements=[
            Measurement(
                name=codes.MIDLINE_SHIFT,
                value=round(shift.shift_mm, LENGTH_DIGITS),
                unit=codes.MILLIMETRE,
                algorithm_id=identify_algorithm(context.model),
            )
        ],
    )


def _volume_measurements(finding: Finding, algorithm: AlgorithmIdentification) -> list[Measurement]:
    return [
        Measurement(
            name=codes.VOLUME,
            value=round(finding.volume_ml, VOLUME_DIGITS),
            unit=codes.MILLILITRE,
            algorithm_id=algorithm,
        ),
        Measurement(
            name=codes.ATTENUATION_COEFFICIENT,
            value=round(finding.mean_hu, HU_DIGITS),
            unit=codes.HOUNSFIELD_UNIT,
            derivation=codes.MEAN,
            algorithm_id=algorithm,
        ),
        Measurement(
            name=codes.DIAMETER,
            value=round(finding.max_diameter_mm, LENGTH_DIGITS),
            unit=codes.MILLIMETRE,
            derivation=codes.MAXIMUM,
            algorithm_id=algorithm,
        ),
    ]


def _region_group(
    context: ResultContext,
    finding: Finding,
    *,
    label: str,
    points: NDArray[np.float64],
    image: SourceImageForRegion,
    measurement: Measurement,
    purpose: Code | None = None,
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    terms = codes.SUBTYPES[finding.subtype]
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_track(context, label),
        referenced_region=hd.sr.ImageRegion(
            graphic_type=hd.sr.GraphicTypeValues.POLYLINE,
            graphic_data=points,
            source_image=image,
        ),
        finding_type=terms.finding,
        finding_sites=_sites(terms.sites, finding.side),
        geometric_purpose=purpose,
        measurements=[measurement],
    )


def _track(context: ResultContext, label: str) -> TrackingIdentifier:
    return TrackingIdentifier(uid=context.tracking_uid(label), identifier=label)


def _sites(places: Sequence[Code], side: Side | None) -> list[FindingSite]:
    laterality = None if side is None else codes.SIDES[side]
    return [FindingSite(anatomic_location=place, laterality=laterality) for place in places]


def _box(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw the closed rectangle around points: shape (5, 2), (column, row)."""
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])
