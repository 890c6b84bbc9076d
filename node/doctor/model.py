"""What an analysis needs: weights, decoders, and the device that computes."""

from collections.abc import Iterator

from pydicom.uid import UID

from config.errors import AnalysisError, MidlineError, ModelError, UsageError
from config.settings import Settings
from ml import weights as shipped_weights
from ml.checkpoint import card_path, load_on_cpu, read_card
from ml.inference import Precision, choose_device, choose_precision, try_device
from ml.readers.codecs import claimed_syntaxes, is_available
from ml.readers.samples import decodes
from node.doctor.findings import Ailment, Check, Finding, Level

NO_WEIGHTS = Ailment(
    "weights.absent",
    Level.FAULT,
    "there are no weights: {error}",
    "name a file in analysis.weights, or a model in analysis.model whose weights ship",
)
NO_CARD = Ailment(
    "weights.card",
    Level.FAULT,
    "the card of the weights cannot be used: {error}",
    "put the card (.json) beside the weights that it was made with",
)
UNFIT = Ailment(
    "weights.unfit",
    Level.FAULT,
    "the weights are not those of their card: {error}",
    "copy weights and card anew from where they were made",
)
NO_DECODER = Ailment(
    "decoders.absent",
    Level.FAULT,
    "{syntax} cannot be decoded: its codec is not installed",
    "install Midline with all it needs: pip install --force-reinstall midline",
)
WRONG = Ailment(
    "decoders.wrong",
    Level.FAULT,
    "{syntax} is decoded to other values than were encoded, or not at all ({error})",
    "install the codecs in the versions of constraints.txt",
)
NO_DEVICE = Ailment(
    "device.absent",
    Level.FAULT,
    "{error}",
    "set analysis.device and analysis.precision to auto, or look at the driver with nvidia-smi",
)
FAILS = Ailment(
    "device.fails",
    Level.FAULT,
    "{device} is there and does not compute ({error})",
    "look at the driver with nvidia-smi, or set analysis.device to cpu",
)


def look_at_weights(settings: Settings) -> Iterator[Finding]:
    """Read the weights, and compare them with their card."""
    analysis = settings.analysis
    try:
        path = analysis.weights or shipped_weights.path_of(analysis.model)
    except UsageError as error:
        yield NO_WEIGHTS.found(error=error)
        return
    if not path.is_file():
        yield NO_WEIGHTS.found(error=f"{path} is no file")
        return
    try:
        read_card(card_path(path))
    except ModelError as error:
        yield NO_CARD.found(error=error)
        return
    try:
        card = load_on_cpu(path)
    except AnalysisError as error:
        yield UNFIT.found(error=error)
        return
    yield WEIGHTS.well(f"{card.name} {card.version}, as its card says")


def look_at_decoders(_: Settings) -> Iterator[Finding]:
    """Decode a sample in each transfer syntax that is claimed."""
    good = 0
    for syntax in claimed_syntaxes():
        fault = _fault_of(syntax)
        if fault is not None:
            yield fault
        good += fault is None
    yield DECODERS.well(f"{good} transfer syntaxes are decoded")


def _fault_of(syntax: UID) -> Finding | None:
    if not is_available(syntax):
        return NO_DECODER.found(syntax=syntax.name)
    try:
        is_right, said = decodes(syntax), "other values"
    except MidlineError as error:
        is_right, said = False, str(error)
    return None if is_right else WRONG.found(syntax=syntax.name, error=said)


def look_at_device(settings: Settings) -> Iterator[Finding]:
    """Have the device compute something small."""
    try:
        device = choose_device(settings.analysis.device)
        precision = choose_precision(Precision(settings.analysis.precision), device)
    except UsageError as error:
        yield NO_DEVICE.found(error=error)
        return
    try:
        try_device(device)
    except AnalysisError as error:
        yield FAILS.found(device=device, error=error)
        return
    yield DEVICE.well(f"{device} computes, in {precision}")


WEIGHTS = Check(
    "weights",
    "The weights of the network: there, and those that their card describes.",
    (NO_WEIGHTS, NO_CARD, UNFIT),
    look_at_weights,
)
DECODERS = Check(
    "decoders",
    "The decoders: a sample in each transfer syntax that the node takes becomes its values.",
    (NO_DECODER, WRONG),
    look_at_decoders,
)
DEVICE = Check(
    "device",
    "The device that computes: there, and able to.",
    (NO_DEVICE, FAILS),
    look_at_device,
)
