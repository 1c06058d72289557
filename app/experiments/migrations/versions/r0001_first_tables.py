"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ORDERED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "experiments",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("nuclear_channel", sa.Text),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_sha256", sa.String(64), nullable=False),
        sa.Column("dtype", sa.String(16), nullable=False),
        sa.Column("karyometer", sa.String(32), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("changed", sa.Float, nullable=False),
        sa.Column("is_started", sa.Boolean, nullable=False),
        sa.Column("is_closed", sa.Boolean, nullable=False),
        sa.Column("is_cancelled", sa.Boolean, nullable=False),
        sa.Column("layout_sha256", sa.String(64)),
        sa.Column("layout_name", sa.Text),
        sa.Column("dose_unit", sa.Text),
        sa.Column("is_assumed", sa.Boolean, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("planned", sa.Integer, nullable=False),
        sa.Column("problem", sa.Text),
        sa.Column("notes", sa.Text, nullable=False),
        sa.UniqueConstraint("owner", "idempotency_key"),
    )
    op.create_table(
        "files",
        sa.Column("experiment", sa.String(32), sa.ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("n_bytes", sa.BigInteger, nullable=False),
        sa.Column("received", sa.Float, nullable=False),
    )
    op.create_table(
        "results",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("labels_key", sa.String(64), nullable=False),
        sa.Column("labels_sha256", sa.String(64), nullable=False),
        sa.Column("nuclei_sha256", sa.String(64), nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("n_pixels", sa.BigInteger, nullable=False),
        sa.Column("nuclei_columns", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_table(
        "images",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("experiment", sa.String(32), sa.ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False),
        sa.Column("image", _ORDERED, nullable=False),
        sa.Column("plate", _ORDERED, nullable=False),
        sa.Column("well", _ORDERED, nullable=False),
        sa.Column("site", _ORDERED, nullable=False),
        sa.Column("plane", _ORDERED, nullable=False),
        sa.Column("channels", sa.Text, nullable=False),
        sa.Column("digests", sa.Text, nullable=False),
        sa.Column("labels_key", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("n_deaths", sa.Integer, nullable=False),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error", sa.Text),
        sa.Column("finished", sa.Float),
        sa.UniqueConstraint("experiment", "image"),
    )
    op.create_table(
        "exclusions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("experiment", sa.String(32), sa.ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False),
        sa.Column("plate", sa.Text),
        sa.Column("well", sa.Text),
        sa.Column("image", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )
    op.create_index("ix_files_sha256", "files", ["sha256"])
    op.create_index("ix_results_labels_key", "results", ["labels_key"])
    op.create_index("ix_results_labels_sha256", "results", ["labels_sha256"])
    op.create_index("ix_results_nuclei_sha256", "results", ["nuclei_sha256"])
    op.create_index("ix_images_key", "images", ["key"])
    op.create_index("ix_images_experiment_state", "images", ["experiment", "state"])
    op.create_index("ix_exclusions_experiment", "exclusions", ["experiment"])
