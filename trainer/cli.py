"""The command `reid-trainer`. Each command says what it reads, what it writes, and what it prints."""

import sys
from importlib.util import find_spec

import typer

from reid import threads

threads.configure()

if missing := [name for name in ("optuna", "pytorch_metric_learning", "sklearn", "tensorboard") if not find_spec(name)]:
    sys.stderr.write(f"reid-trainer: expected {', '.join(missing)}: pip install 'reid-service[train]'\n")
    sys.exit(2)

from trainer.commands.calibrate import calibrate
from trainer.commands.compare import compare
from trainer.commands.embed import embed
from trainer.commands.evaluate import evaluate
from trainer.commands.explain import explain
from trainer.commands.export import export
from trainer.commands.lr_range import lr_range
from trainer.commands.study import study, worker
from trainer.commands.train import train
from trainer.commands.validate import validate

app = typer.Typer(
    name="reid-trainer",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="""Train, evaluate and use person re-identification embeddings.

    The trainer reads a dataset and writes a *bundle*: a folder with weights and everything needed to use them. The
    service (`reid-service`) serves a bundle. Settings come from flags, then the environment, then the defaults shown.

    Exit status: 0 when all went well; 1 when training diverged or B fell short in `compare --fail-below`; 2 when
    something given was wrong, with one line that says what was expected and what came.

    **Examples**

        reid-trainer evaluate --data Market-1501-v15.09.15

        reid-trainer train light --data Market-1501-v15.09.15 --set teacher=teacher.npz --out runs/light

        reid-trainer embed crops/ --out crops.npz

        reid-trainer evaluate --data my-cameras.csv --report report --pictures

        reid-trainer compare default runs/light/bundle --data Market-1501-v15.09.15 --fail-below 0

        reid-trainer calibrate --data my-cameras.csv --out calibration.json
    """,
)

for command in (train, validate, evaluate, embed, export, compare, calibrate, study, worker, explain):
    app.command()(command)
app.command("lr-range")(lr_range)

if __name__ == "__main__":
    app()
