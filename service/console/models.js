// Models: the bundles on disk, which is in force, and its change.
import { ask, path } from "./api.js";
import { comparison } from "./comparison.js";
import { button, confirm, errorLine, facts, make, show } from "./dom.js";
import { evaluations } from "./evaluation.js";
import { follow, underWay } from "./job.js";
import { S, figure } from "./strings.js";

const FIGURES = ["rank_1", "mean_ap", "accuracy"];

/** The page. */
export function open(view) {
  const errors = errorLine();
  const progress = make("div", {});
  const place = make("div", {}, make("p", {}, S.loading));
  view.append(make("h1", {}, S.models.title), make("p", {}, S.models.explain), errors, progress, place);
  const failed = (error) => show(errors, error.message);
  const watch = (job) => follow(progress, job, draw).catch(failed);
  const draw = async () => {
    const [answer, measured] = await Promise.all([ask("GET", path("models")), evaluations()]);
    const cards = answer.models.map((model) => card(model, watch));
    const list = make("ul", { className: "grid models" }, ...cards);
    const back = answer.before === null ? null : rollback(answer, watch);
    place.replaceChildren(list, ...(back === null ? [] : [back]), comparison(answer.models, measured));
  };
  const begin = async () => {
    await draw();
    const running = await underWay("activate");
    if (running !== undefined) watch(running);
  };
  begin().catch(failed);
}

function card(model, watch) {
  const errors = errorLine();
  const figures = FIGURES.filter((name) => name in model.metrics);
  const known = {
    [S.models.kind]: S.models.kinds[model.kind] ?? model.kind,
    [S.models.id]: model.bundle_id.slice(0, 12),
    [S.models.labels]: model.labels.join(", ") || null,
    ...Object.fromEntries(figures.map((name) => [S.models.figures[name], figure(model.metrics[name])])),
    [S.models.domain]: model.metrics.domain ?? model.metrics.protocol ?? null,
    [S.models.sightings]: model.embedding_size === null ? null : model.sightings.toLocaleString("en"),
    [S.models.licence]: model.licence,
  };
  const activate = () => change(S.models.activate, model, "activate", { bundle_id: model.bundle_id }, watch);
  const offered = model.embedding_size !== null && !model.active;
  return make(
    "li",
    { className: "card" },
    make(
      "div",
      { className: "facts" },
      make("h2", {}, model.name),
      model.active ? make("strong", { className: "said" }, S.models.active) : null,
      facts(known),
      offered ? button(S.models.activate.open, activate, errors) : null,
      errors,
    ),
  );
}

function rollback({ models, before }, watch) {
  const errors = errorLine();
  const model = models.find(({ bundle_id }) => bundle_id === before) ?? { name: before.slice(0, 12), sightings: 0 };
  const back = () => change(S.models.rollback, model, "rollback", undefined, watch);
  return make("p", {}, button(S.models.rollback.open(model.name), back, errors), errors);
}

async function change(words, model, verb, body, watch) {
  const job = await confirm(words, [words.explain(model.name)], () => ask("POST", path("models", verb), { body }));
  if (job !== undefined) watch(job);
}
