"""Making a catalogue sound: what is derived is made again, what cannot be is marked for the next build."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import delete, text, update
from sqlalchemy.orm import Session

from m2s_index.catalog import DATABASE_NAME, Catalog
from m2s_index.checks.films import MARKED, film_faults
from m2s_index.checks.values import mend_value, wrong_values
from m2s_index.checks.vectors import Matrix, bad_matrices, encoders_by_state, index_faults
from m2s_index.errors import CatalogDamagedError
from m2s_index.index_writer import stray_files, write_index
from m2s_index.lost_labels import delete_labels
from m2s_index.matrix_writer import use_encoder
from m2s_index.schema import Base, EmbeddingRow, EncoderRow, FeatureRow, SettingRow
from m2s_index.sessions import reader_of
from m2s_index.verify import (
    RESTORE,
    bad_settings,
    integrity,
    misplaced_labels,
    orphans,
    unreadable_films,
)


def repair_catalog(catalog: Catalog) -> Iterator[str]:
    """Make again what is derived; what cannot be made again without the film is marked, so that the next
    build reads the film anew. Yields a line for each thing done.

    Raises:
        CatalogDamagedError: the database itself is damaged.
    """
    with catalog.reader() as reader:
        if broken := integrity(reader):
            raise CatalogDamagedError(
                f"the database {catalog.folder / DATABASE_NAME} is damaged ({broken[0]}): {RESTORE}"
            )
    with catalog.write() as session:
        yield from [mend_value(session, wrong) for wrong in list(wrong_values(reader_of(session)))]
        yield from _delete_orphans(session)
        yield from _delete_encoders(session)
    with catalog.reader() as reader:
        encoders, _ = encoders_by_state(reader)
        reread = {fault.movie_id: fault.where.partition("#")[0] for fault in film_faults(reader)}
        reread |= unreadable_films(catalog, reader)
        bad = bad_matrices(reader, encoders)
        for encoder in encoders:
            bad |= index_faults(catalog, reader, encoder, bad)[1]
    with catalog.write() as session:
        yield from _mark_films(session, reread)
        yield from _drop_vectors(session, bad)
        lost = misplaced_labels(reader_of(session))
        delete_labels(session, lost)
        yield from (f"label {label}: deleted" for label in lost)
        for key in bad_settings(reader_of(session)):
            session.execute(delete(SettingRow).where(SettingRow.key == key))
            if key == "default_encoder" and encoders:
                use_encoder(session, encoders[0].name)
            yield f"setting {key}: back to what it is at first"
    for path in stray_files(catalog):
        path.unlink(missing_ok=True)
        yield f"{path.name}: stray file deleted"
    for encoder in encoders:
        written = write_index(catalog, encoder)
        yield f"index of {encoder.name}: {written.kind}, {written.vectors} scenes ({written.reason})"


def _delete_orphans(session: Session) -> Iterator[str]:
    for row in orphans(reader_of(session)):
        session.execute(delete(Base.metadata.tables[row.table]).where(text("rowid = :row")), {"row": row.row})
        yield f"{row}: deleted"


def _delete_encoders(session: Session) -> Iterator[str]:
    for encoder_id, name in encoders_by_state(reader_of(session))[1].items():
        session.execute(delete(EncoderRow).where(EncoderRow.id == encoder_id))
        yield f"encoder {name}: damaged, dropped with its vectors; 'm2s index build --encoder' makes them again"


def _mark_films(session: Session, films: dict[int, str]) -> Iterator[str]:
    movies = Base.metadata.tables["movies"]
    for movie_id, name in films.items():
        # No file has this fingerprint or these options: the next build takes it for changed.
        session.execute(update(movies).where(movies.c.id == movie_id).values(fingerprint=MARKED, options="{}"))
        yield f"{name}: marked; the next 'm2s index build' on its file reads it anew"


def _drop_vectors(session: Session, matrices: dict[Matrix, str]) -> Iterator[str]:
    for (movie_id, encoder_id), name in matrices.items():
        for model in (FeatureRow, EmbeddingRow):
            session.execute(delete(model).where(model.movie_id == movie_id, model.encoder_id == encoder_id))
        yield f"{name}: damaged vectors dropped; 'm2s index build' with that encoder makes them again"
