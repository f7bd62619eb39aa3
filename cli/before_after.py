"""What a training gained on held-out films: precision of two encoders' scenes, as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from m2s_index.cli.eval_tables import with_interval
from m2s_index.cli.output import print_table, shown

if TYPE_CHECKING:
    from m2s_index.evaluation.retrieval_report import RetrievalReport


def print_before_after(report: RetrievalReport, films: int) -> None:
    """Precision over all queries by both encoders, vocabulary by vocabulary, chance first."""
    from m2s_index.evaluation.retrieval_report import KS

    rows: list[tuple[str, ...]] = []
    for result in report.vocabularies:
        chance = f"{result.encoders[0].all_queries.chance:.2f}"
        rows.append((result.vocabulary, "chance", *(chance for _ in KS)))
        for name, encoder in zip(("before", "after"), result.encoders, strict=True):
            rows.append(("", name, *(f"{encoder.all_queries.measures.at(k).value:.2f}" for k in KS)))
        (difference,) = result.differences
        rows.append(("", "difference", *(with_interval(difference.measures.at(k), sign="+") for k in KS)))
    before, after = (shown(encoder.name) for encoder in report.encoders)
    print_table(
        (f"{films} held-out films", "", *(f"P@{k}" for k in KS)),
        rows,
        title=f"precision in per cent among other films' scenes, before by {before}, after by {after}",
    )


def before_after_json(report: RetrievalReport, films: int) -> dict[str, Any]:
    """The same in per cent, and differences in points with their 95 % intervals over films."""
    from m2s_index.evaluation.retrieval_report import KS

    vocabularies: dict[str, Any] = {}
    for result in report.vocabularies:
        before, after = (encoder.all_queries for encoder in result.encoders)
        difference = {f"p@{k}": result.differences[0].measures.at(k) for k in KS}
        intervals = {name: None if f.low is None else [f.low, f.high] for name, f in difference.items()}
        vocabularies[result.vocabulary] = {
            "queries": before.queries,
            "chance": before.chance,
            "before": {f"p@{k}": before.measures.at(k).value for k in KS},
            "after": {f"p@{k}": after.measures.at(k).value for k in KS},
            "difference": {name: figure.value for name, figure in difference.items()} | {"intervals": intervals},
        }
    names = [shown(encoder.name) for encoder in report.encoders]
    return {"films": films, "encoders": names, "vocabularies": vocabularies}
