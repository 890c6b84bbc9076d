"""Network services: commitment, evidence of completeness, retention, and the audit trail."""

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"

COMMITMENT_STATES = (
    "NOT_ASKED",
    "REQUESTED",
    "COMMITTED",
    "FAILED",
    "UNANSWERED",
    "NOT_OFFERED",
)
PRIORITIES = ("STAT", "HIGH", "ROUTINE", "LOW")
TABLES = (
    "notification",
    "sending",
    "association",
    "page_session",
    "account",
    "drain",
    "audit",
    "commitment_request",
    "commitment_item",
    "commitment",
)


def upgrade() -> None:
    with op.batch_alter_table("study") as study:
        study.add_column(sa.Column("expected_instances", sa.Integer(), nullable=True))
        study.add_column(sa.Column("expected_by", sa.String(length=64), nullable=True))
        study.add_column(sa.Column("files_removed_at", sa.DateTime(timezone=True), nullable=True))
        study.add_column(
            sa.Column("is_interrupted", sa.Boolean(), nullable=False, server_default="0")
        )
        study.add_column(sa.Column("longest_pause_seconds", sa.Double(), nullable=True))
        study.create_index("ix_study_calling_ae_title", ["calling_ae_title"])
    with op.batch_alter_table("instance") as instance:
        instance.add_column(sa.Column("geometry_json", sa.Text(), nullable=True))
        instance.create_index("ix_instance_path", ["path"])
    _extend_jobs()
    _extend_deliveries()
    _create_commitments()
    _create_audit()
    _create_drain()
    _create_accounts()
    _create_associations()
    _create_notifications()


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    with op.batch_alter_table("delivery", table_kwargs={"sqlite_autoincrement": True}) as delivery:
        delivery.drop_index("ix_delivery_sent_at")
        delivery.drop_index("ix_delivery_state_destination_commitment")
        delivery.create_index("ix_delivery_destination_state", ["destination", "state"])
        delivery.drop_constraint(op.f("ck_delivery_commitment"), type_="check")
        for column in ("committed_at", "commitment_error", "commitment"):
            delivery.drop_column(column)
    with op.batch_alter_table("job", table_kwargs={"sqlite_autoincrement": True}) as job:
        job.drop_constraint(op.f("ck_job_priority"), type_="check")
        job.drop_index("ix_job_finished_at")
        job.drop_index("ix_job_state_outcome")
        for column in ("stages_json", "priority", "selection_json"):
            job.drop_column(column)
    with op.batch_alter_table("instance") as instance:
        instance.drop_index("ix_instance_path")
        instance.drop_column("geometry_json")
    with op.batch_alter_table("study") as study:
        study.drop_index("ix_study_calling_ae_title")
        for column in (
            "longest_pause_seconds",
            "is_interrupted",
            "files_removed_at",
            "expected_by",
            "expected_instances",
        ):
            study.drop_column(column)


def _extend_jobs() -> None:
    names = ", ".join(f"'{priority}'" for priority in PRIORITIES)
    with op.batch_alter_table("job", table_kwargs={"sqlite_autoincrement": True}) as job:
        job.add_column(sa.Column("selection_json", sa.Text(), nullable=True))
        job.create_index("ix_job_finished_at", ["finished_at"])
        job.create_index("ix_job_state_outcome", ["state", "outcome"])
        job.add_column(sa.Column("stages_json", sa.Text(), nullable=True))
        job.add_column(
            sa.Column("priority", sa.String(length=16), nullable=False, server_default="ROUTINE")
        )
        job.create_check_constraint(op.f("ck_job_priority"), f"priority IN ({names})")
    with op.batch_alter_table("job", table_kwargs={"sqlite_autoincrement": True}) as job:
        # only the rows that were there needed it
        job.alter_column("priority", server_default=None)


def _extend_deliveries() -> None:
    names = ", ".join(f"'{state}'" for state in COMMITMENT_STATES)
    with op.batch_alter_table("delivery", table_kwargs={"sqlite_autoincrement": True}) as delivery:
        delivery.add_column(
            sa.Column(
                "commitment", sa.String(length=16), nullable=False, server_default="NOT_ASKED"
            )
        )
        delivery.add_column(sa.Column("commitment_error", sa.Text(), nullable=True))
        delivery.add_column(sa.Column("committed_at", sa.DateTime(timezone=True), nullable=True))
        delivery.create_index("ix_delivery_sent_at", ["sent_at"])
        delivery.drop_index("ix_delivery_destination_state")
        delivery.create_index(
            "ix_delivery_state_destination_commitment", ["state", "destination", "commitment"]
        )
        delivery.create_check_constraint(op.f("ck_delivery_commitment"), f"commitment IN ({names})")
    # what was sent before is not asked for any more: the receivers may have moved on
    op.execute("UPDATE delivery SET commitment = 'NOT_OFFERED' WHERE state = 'SENT'")
    with op.batch_alter_table("delivery", table_kwargs={"sqlite_autoincrement": True}) as delivery:
        # only the rows that were there needed it
        delivery.alter_column("commitment", server_default=None)


def _create_commitments() -> None:
    op.create_table(
        "commitment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_commitment"),
        sa.UniqueConstraint("transaction_uid", name="uq_commitment_transaction_uid"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_commitment_job_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_commitment_job_id_destination", "commitment", ["job_id", "destination"])
    op.create_table(
        "commitment_item",
        sa.Column("commitment_id", sa.Integer(), nullable=False),
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("commitment_id", "delivery_id", name="pk_commitment_item"),
        sa.ForeignKeyConstraint(
            ["commitment_id"], ["commitment.id"], name="fk_commitment_item_commitment_id"
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name="fk_commitment_item_delivery_id"
        ),
    )
    op.create_index("ix_commitment_item_delivery_id", "commitment_item", ["delivery_id"])
    op.create_table(
        "commitment_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("calling_ae_title", sa.String(length=16), nullable=False),
        sa.Column("items_json", sa.Text(), nullable=False),
        sa.Column("is_duplicate", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_commitment_request"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_commitment_request_calling_ae_title_transaction_uid",
        "commitment_request",
        ["calling_ae_title", "transaction_uid"],
    )


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.Integer(), nullable=False),
        sa.Column("message_json", sa.Text(), nullable=False),
        sa.Column("previous_sha256", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("forwarded_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sa.UniqueConstraint("sha256", name="uq_audit_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_forwarded_at", "audit", ["forwarded_at"])


def _create_notifications() -> None:
    op.create_table(
        "notification",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.String(length=20), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("receiver", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('PENDING', 'SENT', 'DEAD')", name="ck_notification_state"),
        sa.PrimaryKeyConstraint("id", name="pk_notification"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_notification_job_id"),
        sa.UniqueConstraint("message_id", name="uq_notification_message_id"),
        sa.UniqueConstraint(
            "job_id", "run", "receiver", name="uq_notification_job_id_run_receiver"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notification_state_receiver", "notification", ["state", "receiver"])


def _create_drain() -> None:
    op.create_table(
        "drain",
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("role", name="pk_drain"),
    )


def _create_accounts() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("password_set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signed_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('VIEWER', 'OPERATOR')", name="ck_account_role"),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("name", name="uq_account_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "page_session",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_page_session"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_page_session_account_id"),
        sa.UniqueConstraint("token_sha256", name="uq_page_session_token_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_page_session_account_id", "page_session", ["account_id"])


def _create_associations() -> None:
    op.create_table(
        "association",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("listener", sa.String(length=128), nullable=False),
        sa.Column("calling_ae_title", sa.String(length=16), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_association"),
    )
    op.create_index("ix_association_listener", "association", ["listener"])
    op.create_index("ix_association_calling_ae_title", "association", ["calling_ae_title"])
    op.create_table(
        "sending",
        sa.Column("association_id", sa.String(length=36), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("association_id", "study_id", name="pk_sending"),
        sa.ForeignKeyConstraint(
            ["association_id"],
            ["association.id"],
            name="fk_sending_association_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name="fk_sending_study_id"),
    )
    op.create_index("ix_sending_study_id", "sending", ["study_id"])
