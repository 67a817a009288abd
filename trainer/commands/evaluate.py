"""`reid-trainer evaluate`."""

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from reid.bundle import bundle_folder, bundle_kind
from reid.datasets.classes import read_classes
from reid.datasets.split import labelled_name, read_split
from reid.datasets.videos import Grouping, read_videos
from reid.evaluation.labels import Exclude
from reid.evaluation.multi_query import Pooling
from reid.kinds import ACTION, EMBEDDING
from reid.predictors import ActionRecognizer, Embedder, ImageClassifier
from trainer.classification import Classification, classify, judged_part, recognise
from trainer.commands.figures import print_figures
from trainer.commands.labelled_data import Data, ExcludeOption
from trainer.commands.shared import BundleOption, Device, one_line_errors
from trainer.evaluation import Evaluation, evaluate_split
from trainer.protocol import Protocol
from trainer.recipes.actions import ActionRecipe
from trainer.recipes.classifiers import ClassifierRecipe
from trainer.recipes.fields import recipe_from_json
from trainer.report import report_evaluation


def evaluate(
    data: Data,
    bundle: BundleOption = "default",
    report: Annotated[Path | None, typer.Option(help="Folder for `report.html` and `report.json`.")] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Show the crops of the hardest queries in the report.")
    ] = False,
    json_: Annotated[Path | None, typer.Option("--json", help="File for the figures as JSON.")] = None,
    exclude: ExcludeOption = Exclude.SAME_CAMERA,
    multi_query: Annotated[
        Pooling | None, typer.Option(help="Ask with all crops of a person on a camera as one query, pooled.")
    ] = None,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Re-rank by k-reciprocal neighbours (k1 20, k2 6, λ 0.3).")
    ] = False,
    device: Device = "auto",
) -> None:
    """Print Rank-1/5/10, mAP and mINP of an embedding on labelled crops, or accuracy on labelled images or clips.

    Two formulas of mAP are in use and differ by up to a point, so both are printed. Embedding speed and the time that
    the metrics took are printed apart. Market-1501 has a query part; elsewhere every crop asks for its person among all
    the others. A classifier is judged on its own test part where the data is what it was trained on, else on all.
    """
    with one_line_errors():
        kind = bundle_kind(bundle_folder(bundle))
        if kind != EMBEDDING.name:
            _refuse(
                bundle,
                {
                    "--report": report,
                    "--pictures": pictures,
                    "--exclude": exclude is not Exclude.SAME_CAMERA,
                    "--multi-query": multi_query,
                    "--rerank": rerank,
                },
            )
            _evaluate_labels(kind, data, bundle, json_, device)
            return
        _check_report(report, pictures=pictures, rerank=rerank)
        split = read_split(data)
        embedder = Embedder.load(bundle, device)
        evaluation = evaluate_split(embedder, split, Protocol(exclude, multi_query, rerank))
        _print_evaluation(evaluation)
        if json_:
            figures = evaluation.figures() | evaluation.more_figures() | _timing(evaluation)
            figures |= {"bundle_id": embedder.bundle_id, "precision": str(embedder.precision)}
            json_.write_text(json.dumps(figures, indent=1) + "\n")
        if report:
            report_evaluation(report, evaluation, embedder.bundle, pictures=pictures)


def _refuse(bundle: str, asked: dict[str, object]) -> None:
    """What only embeddings can be asked for."""
    if options := [option for option, value in asked.items() if value]:
        raise ValueError(f"{', '.join(options)}: expected an embedding bundle, got {bundle!r}")


def _evaluate_labels(kind: str, data: Path, bundle: str, json_: Path | None, device: str) -> None:
    judged, bundle_id = (
        _judged_clips(data, bundle, device) if kind == ACTION.name else _judged_images(data, bundle, device)
    )
    figures = judged.figures() | {"domain": labelled_name(data), "bundle_id": bundle_id}
    print_figures(kind, figures)
    if json_:
        json_.write_text(json.dumps(figures, indent=1) + "\n")


def _judged_images(data: Path, bundle: str, device: str) -> tuple[Classification, str]:
    classifier = ImageClassifier.load(bundle, device)
    recipe = recipe_from_json(ClassifierRecipe, classifier.bundle.recipe)
    part = judged_part(classifier.bundle, recipe, read_classes(data))
    return classify(classifier, *part), classifier.bundle.id


def _judged_clips(data: Path, bundle: str, device: str) -> tuple[Classification, str]:
    with closing(ActionRecognizer.load(bundle, device)) as recognizer:
        recipe = recipe_from_json(ActionRecipe, recognizer.bundle.recipe)
        part = judged_part(recognizer.bundle, recipe, read_videos(data, Grouping(recipe.grouping)))
        return recognise(recognizer, *part), recognizer.bundle.id


def _check_report(report: Path | None, *, pictures: bool, rerank: bool) -> None:
    if pictures and not report:
        raise ValueError("expected --report with --pictures")
    if report and rerank:
        raise ValueError("expected --report without --rerank: a report is about scores, and re-ranking has none")


def _timing(evaluation: Evaluation) -> dict[str, float]:
    return {
        "images_per_second": round(evaluation.images_per_second, 1),
        "metric_seconds": round(evaluation.metric_seconds, 3),
    }


def _print_evaluation(evaluation: Evaluation) -> None:
    print_figures(EMBEDDING.name, evaluation.figures())
    counts = evaluation.split.counts()
    typer.echo(f"{evaluation.split.domain}; mINP {evaluation.result.mean_inp:.2%}")
    typer.echo(
        f"{counts['num_people']} people asked for: {counts['num_people_with_one_crop']} with one crop, "
        f"{counts['num_people_on_one_camera']} on one camera only; {counts['num_duplicate_files']} copies left out"
    )
    typer.echo(f"{evaluation.images_per_second:.0f} images per second; metrics in {evaluation.metric_seconds:.2f} s")
