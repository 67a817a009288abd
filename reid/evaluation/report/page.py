"""The report as one HTML page: no script, and nothing fetched from anywhere."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from reid.evaluation.hardest import HardQuery
from reid.evaluation.report.contents import MAX_RANK, Report
from reid.evaluation.report.figures import camera_figure, cmc_figure, histogram_figure, roc_figure

_STYLE = """
:root { color-scheme: light; font: 16px/1.5 system-ui, sans-serif; color: #1c2226; background: #fff; }
body { max-width: 68rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; margin: .5rem 0; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .3rem; }
p { margin: .4rem 0; max-width: 46rem; } .quiet { color: #566; font-size: .9rem; }
code, .name { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; border-bottom: 1px solid #dde2e4; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 1.5rem; }
img.drawing { width: 100%; height: auto; max-width: 38rem; }
.strip { display: flex; flex-wrap: wrap; gap: .4rem; margin: .3rem 0 1rem; }
.strip figure { margin: 0; width: 4.6rem; font-size: .75rem; text-align: center; }
.strip img { display: block; width: 100%; aspect-ratio: 1 / 2; object-fit: cover; box-sizing: border-box;
  border: 4px solid #567; }
.strip .right img { border-color: #1b7837; } .strip .wrong img { border-color: #c2452d; border-style: dashed; }
"""


def html_page(report: Report) -> str:
    """The whole page. Every text from outside is escaped."""
    figures = report.figures
    sections = [
        _head(report),
        _table(
            ["Rank-1", "Rank-5", "Rank-10", "mAP (step)", "mAP (trapezoid)", "mINP"],
            [[f"{figures[name]:.2%}" for name in _COLUMNS]],
        ),
        _intervals(report),
        '<div class="figures">',
        _drawing("Found within k", "How many queries have a right match among the first k.", _cmc(report)),
        _drawing(
            "Scores of same and of different people",
            "The less the two overlap, the more a score can decide.",
            histogram_figure(report.histogram),
        ),
        _drawing(
            "Same or not? (ROC)",
            f"Equal errors at {report.roc.equal_error_rate:.2%}. Per comparison: a search makes one per sighting.",
            roc_figure(report.roc, int(report.histogram.impostor.sum())),
        ),
        _drawing(
            "Rank-1 by pair of cameras",
            "Each query camera against the crops of one gallery camera alone. Grey: no true match between the two. "
            "Compare the cells with each other, not with the table above: the galleries are smaller.",
            camera_figure(report.camera_pairs),
        ),
        "</div>",
        _score_section(report),
        _hardest_section(report),
        _hygiene_section(report),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(sections)
        + "\n</body></html>\n"
    )


_COLUMNS = ("rank_1", "rank_5", "rank_10", "mean_ap", "mean_ap_trapezoid", "mean_inp")


def _head(report: Report) -> str:
    figures = report.figures
    return (
        f"<h1>{escape(report.title)}</h1>"
        f"<p><b>{escape(report.domain)}.</b> {escape(report.protocol)}. {figures['num_valid_queries']:,} of "
        f"{figures['num_queries']:,} queries count, against {figures['num_gallery']:,} crops.</p>"
        f'<p class="quiet">Bundle <code>{escape(report.bundle_id)}</code></p>'
    )


def _intervals(report: Report) -> str:
    rank_1, mean_ap = report.figures["rank_1_interval"], report.figures["mean_ap_interval"]
    return (
        f'<p class="quiet">With other people on the same cameras, Rank-1 would lie in {rank_1[0]:.1%}–{rank_1[1]:.1%} '
        f"and mAP in {mean_ap[0]:.1%}–{mean_ap[1]:.1%} (95 %, bootstrap over people). "
        f"{report.figures['num_people']:,} people asked for, {report.figures['num_people_with_one_crop']:,} of them "
        f"with one crop and {report.figures['num_people_on_one_camera']:,} on one camera only; "
        f"{report.figures['num_duplicate_files']:,} copies of files left out.</p>"
    )


def _cmc(report: Report) -> str:
    return cmc_figure(report.result, min(MAX_RANK, report.result.num_gallery))


def _score_section(report: Report) -> str:
    calibration = report.calibration
    rows = []
    for rate, _ in reversed(report.roc_points):
        score = calibration.score_at(max(rate, calibration.false_match_rates[-1]))
        reached = float(calibration.true_match_rate(score))
        rows.append([f"1 in {round(1 / rate):,}", f"{score:.3f}", f"{10_000 * rate:,g}", f"{reached:.1%}"])
    return (
        "<h2>What a score means here</h2>"
        f"<p>Measured on {calibration.num_impostor_pairs:,} pairs of different people and "
        f"{calibration.num_genuine_pairs:,} of the same person.</p>"
        + _table(
            ["false-match rate", "from this score", "strangers in a search of 10 000", "same person reaches it"], rows
        )
    )


def _hardest_section(report: Report) -> str:
    rows = [
        [
            escape(report.query_names[hard.query_row]),
            f"{hard.average_precision:.3f}",
            f"{hard.first_hit_rank + 1:,}",
            escape(report.gallery_names[hard.gallery_rows[0]]),
            f"{hard.scores[0]:.3f}",
        ]
        for hard in report.hardest
    ]
    table = _table(["query", "average precision", "first right match at", "best match", "its score"], rows)
    strips = "".join(_strip(report, hard) for hard in report.hardest) if report.pictures else ""
    return (
        "<h2>Hardest queries</h2><p>One for each of the people found worst. Wrong labels, crops of half a person and "
        f"two people in one box show up here first.</p>{table}{strips}"
    )


def _strip(report: Report, hard: HardQuery) -> str:
    query = report.query_names[hard.query_row]
    cells = [_picture(report, query, "query", "query")]
    for row, score, right in zip(hard.gallery_rows, hard.scores, hard.right, strict=True):
        verdict = "right" if right else "wrong"
        cells.append(_picture(report, report.gallery_names[row], verdict, f"{score:.2f} {verdict}"))
    return f'<p class="name">{escape(query)}</p><div class="strip">{"".join(cells)}</div>'


def _picture(report: Report, name: str, kind: str, caption: str) -> str:
    data = base64.b64encode(report.pictures[name]).decode()
    alt = escape(f"{name}, {caption}", quote=True)
    return (
        f'<figure class="{kind}"><img alt="{alt}" title="{alt}" src="data:image/jpeg;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _hygiene_section(report: Report) -> str:
    found: dict[str, Any] = report.to_json()["gallery"]
    duplicates, across = found["num_near_duplicates"], found["num_near_duplicates_across_people"]
    outliers = [
        [escape(o["crop"]), f"{o['own_score']:.3f}", escape(o["other_person"]), f"{o['other_score']:.3f}"]
        for o in found["outliers"]
    ]
    alike = [[*map(escape, pair["people"]), f"{pair['score']:.3f}"] for pair in found["look_alikes"]]
    twice = [
        [*map(escape, pair["crops"]), f"{pair['score']:.4f}", "yes" if pair["same_person"] else "no"]
        for pair in found["near_duplicates"]
    ]
    return "".join(
        [
            "<h2>The gallery itself</h2>",
            f"<p><b>{found['num_outliers']:,} crops</b> are nearer to another person than to their own.</p>",
            _table(["crop", "score with its own", "nearer to", "score with that"], outliers),
            "<p><b>People who look alike</b> to this bundle, by their mean vectors. Expect them to be mixed up.</p>",
            _table(["person", "and", "score"], alike),
            f"<p><b>{duplicates:,} pairs of crops are almost the same</b>, {across:,} of them across people.</p>",
            _table(["crop", "and", "score", "same person"], twice),
        ]
    )


def _drawing(title: str, text: str, svg: str) -> str:
    data = base64.b64encode(svg.encode()).decode()
    return (
        f'<section><h2>{escape(title)}</h2><p class="quiet">{escape(text)}</p>'
        f'<img class="drawing" alt="{escape(title, quote=True)}" src="data:image/svg+xml;base64,{data}"></section>'
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML; names in them must have been escaped."""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    if not body:
        return "<p>None.</p>"
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
