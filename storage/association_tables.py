"""Tables of the associations that are open now, for all listeners to see; private to storage."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables import AETitle, Base


class AssociationRow(Base):
    """An association that a listener let in."""

    __tablename__ = "association"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    listener: Mapped[str] = mapped_column(String(128), index=True)
    calling_ae_title: Mapped[AETitle] = mapped_column(index=True)
    began_at: Mapped[datetime]


class SendingRow(Base):
    """That images of a study came on an association."""

    __tablename__ = "sending"

    association_id: Mapped[str] = mapped_column(
        ForeignKey("association.id", ondelete="CASCADE"), primary_key=True
    )
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), primary_key=True, index=True)
