// An evaluation as the console shows it: figures of this gallery, its report, its calibration.
import { ask, path } from "./api.js";
import { button, errorLine, facts, make, show } from "./dom.js";
import { S, figure, time } from "./strings.js";

const KIND = "evaluate";
const MOST = 12;

/** The latest evaluations, whole, the latest first. */
export async function evaluations() {
  const { jobs } = await ask("GET", path("jobs"), { query: { limit: 200 } });
  const wanted = jobs.filter(({ kind }) => kind === KIND).slice(0, MOST);
  return Promise.all(wanted.map(({ job_id }) => ask("GET", path("jobs", job_id))));
}

/** One that has ended; `calibrated` is called once its calibration is in force. */
export function card(job, calibrated) {
  const errors = errorLine();
  const said = make("p", { className: "said", role: "status", hidden: true });
  const calibrate = async () => {
    await calibrated(await ask("PUT", path("calibration"), { body: { evaluation_id: job.job_id } }));
    show(said, S.evaluations.calibrated);
  };
  const forget = async () => {
    await ask("DELETE", path("jobs", job.job_id));
    item.remove();
  };
  const report = `${path("evaluations", job.job_id)}/report`;
  const actions = make("div", { className: "actions" });
  if (job.state === "done") {
    actions.append(
      make("a", { href: report, target: "_blank", rel: "noopener" }, S.evaluations.report),
      button(S.evaluations.calibrate, calibrate, errors),
    );
  }
  actions.append(button(S.evaluations.forget, forget, errors));
  const head = make("h3", {}, job.request?.domain ?? S.jobs.kinds[KIND]);
  const body = job.result === null ? make("p", {}, S.jobs.ended(job)) : facts(figures(job.result));
  const item = make("li", { className: "card" });
  const when = make("time", { dateTime: job.created_at }, time(job.created_at));
  item.append(make("div", { className: "facts" }, head, when, body, actions, said, errors));
  return item;
}

function figures(result) {
  const between = ([low, high]) => `${figure(low)} – ${figure(high)}`;
  return {
    [S.models.figures.rank_1]: `${figure(result.rank_1)} (${between(result.rank_1_interval)})`,
    [S.models.figures.mean_ap]: `${figure(result.mean_ap)} (${between(result.mean_ap_interval)})`,
    [S.models.figures.equal_error_rate]: figure(result.equal_error_rate),
    [S.models.figures.num_queries]: figure(result.num_queries),
    [S.models.figures.num_gallery]: figure(result.num_gallery),
    [S.evaluations.bundle]: result.bundle_id.slice(0, 12),
  };
}
