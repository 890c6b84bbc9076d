"""Whose document it is: a site's settings, or those that the node has without any."""

from dataclasses import dataclass
from importlib.metadata import version

from config.settings import Settings
from ml.checkpoint import ModelCard, Thresholds, card_path, read_card
from node import roles
from node.documents.specimens import Installation

PRODUCT = "Midline"


def default_settings() -> Settings:
    """Make the settings of a node that nobody has set up; the environment has no say."""
    return Settings.model_construct()


@dataclass(frozen=True)
class Site:
    """An installation, from its settings.

    Attributes
    ----------
    settings
        All of them.
    card
        Of the model that they name.
    thresholds
        Where a score becomes a decision.
    installation
        Node and model as the objects name them.
    """

    settings: Settings
    card: ModelCard
    thresholds: Thresholds
    installation: Installation

    @classmethod
    def of(cls, settings: Settings) -> "Site":
        """Read what the settings name.

        Raises
        ------
        ModelError
            If the model's card cannot be read.
        """
        card = read_card(card_path(roles.weights_path(settings)))
        installation = Installation(
            roles.node_identity(settings), roles.model_identity(settings, card), patient=0
        )
        return cls(settings, card, roles.thresholds_of(settings, card), installation)

    @property
    def is_default(self) -> bool:
        """Whether nothing is set."""
        return self.settings == default_settings()

    @property
    def title(self) -> str:
        """Product and version."""
        return f"{PRODUCT} {version('midline')}"
