"""What the segmenting step leaves for the encoding step: a prediction as arrays in one file."""

from io import BytesIO

import numpy as np
from pydantic import TypeAdapter

from ml.familiarity import Familiarity
from ml.inference import Prediction
from ml.plane import Alignment
from ml.volume import Grid, Mask, Subtype

_FAMILIARITY: TypeAdapter[Familiarity | None] = TypeAdapter(Familiarity | None)


def dump(prediction: Prediction) -> bytes:
    """Encode a prediction as a compressed .npz without objects: nothing is ever unpickled."""
    buffer = BytesIO()
    np.savez_compressed(
        buffer,
        labels=prediction.mask.labels,
        certainty_percent=np.array([prediction.certainty_percent.get(s, 0.0) for s in Subtype]),
        case_score=np.array(prediction.case_score),
        rotation_deg=np.array(prediction.alignment.rotation_deg),
        shift_mm=prediction.alignment.shift_mm,
        centre_mm=prediction.alignment.centre_mm,
        familiarity=np.array(_FAMILIARITY.dump_json(prediction.familiarity).decode()),
        allow_pickle=False,
    )
    return buffer.getvalue()


def load(content: bytes, grid: Grid) -> Prediction:
    """Decode what `dump` encoded.

    Raises
    ------
    ValueError
        If it does not lie on this grid.
    """
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        return Prediction(
            mask=Mask(arrays["labels"], grid),
            certainty_percent=dict(
                zip(Subtype, map(float, arrays["certainty_percent"]), strict=True)
            ),
            case_score=float(arrays["case_score"]),
            alignment=Alignment(
                float(arrays["rotation_deg"]), arrays["shift_mm"], arrays["centre_mm"]
            ),
            familiarity=_FAMILIARITY.validate_json(str(arrays["familiarity"])),
        )
