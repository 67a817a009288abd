// Evaluation: how well this gallery tells its own people apart, and what its scores mean.
import { ask, path } from "./api.js";
import { inForce } from "./calibration.js";
import { choice, errorLine, field, form, make, show, tick } from "./dom.js";
import { card, evaluations } from "./evaluation.js";
import { follow, isOpen } from "./job.js";
import { S } from "./strings.js";

/** The page. */
export function open(view) {
  const errors = errorLine();
  const progress = make("div", {});
  const list = make("div", {}, make("p", {}, S.loading));
  const calibration = inForce();
  const failed = (error) => show(errors, error.message);
  const draw = async () => {
    const found = await evaluations();
    const running = found.find(isOpen);
    if (running !== undefined) watch(running);
    const ended = found.filter((job) => !isOpen(job)).map((job) => card(job, calibration.draw));
    const none = make("p", { className: "empty" }, S.evaluations.empty);
    list.replaceChildren(ended.length ? make("ul", { className: "grid evaluations" }, ...ended) : none);
  };
  const watch = (job) => follow(progress, job, draw).catch(failed);
  const asked = request(watch);
  const head = make("h2", {}, S.evaluations.past);
  view.append(make("h1", {}, S.evaluations.title), asked, progress, errors, calibration.element, head, list);
  draw().catch(failed);
}

function request(watch) {
  const named = { required: true, maxLength: 128, value: S.evaluations.here, autocomplete: "off" };
  const domain = field(S.evaluations.domain, named);
  const exclude = choice(S.evaluations.exclude, Object.entries(S.evaluations.excluded));
  const most = field(S.evaluations.most, { type: "number", min: 1, max: 20000, value: 5000, required: true });
  const pictures = tick(S.evaluations.pictures);
  const submit = make("button", { type: "submit", className: "primary" }, S.evaluations.submit);
  const run = async () => {
    const body = {
      domain: domain.input.value.trim(),
      exclude: exclude.input.value,
      max_queries: Number(most.input.value),
      pictures: pictures.input.checked,
    };
    watch(await ask("POST", path("evaluations"), { body }));
  };
  const rows = [domain, exclude, most, pictures].map(({ row }) => row);
  const explain = make("p", {}, S.evaluations.explain);
  return form({ className: "panel" }, submit, run, explain, make("div", { className: "filters" }, ...rows));
}
