// Work in the background: how far it is, until it ends or the page is left.
import { ask, path } from "./api.js";
import { button, errorLine, make, show } from "./dom.js";
import { S } from "./strings.js";

const PAUSE_MS = 500;
const OPEN = ["waiting", "running"];

/** Whether a job has not ended. */
export function isOpen({ state }) {
  return OPEN.includes(state);
}

/** Show in `place` how far a job is; once it has ended, `ended` is called with all of it. */
export async function follow(place, job, ended) {
  const errors = errorLine();
  const bar = make("progress", { max: 1, value: job.progress, "aria-label": S.jobs.kinds[job.kind] });
  const words = make("span", { role: "status" });
  const cancel = button(S.cancel, () => ask("DELETE", path("jobs", job.job_id)), errors);
  place.replaceChildren(make("div", { className: "job actions" }, bar, words, cancel), errors);
  while (isOpen(job)) {
    bar.value = job.progress;
    words.textContent = S.jobs.at(job);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    if (!bar.isConnected) return;
    try {
      job = await ask("GET", path("jobs", job.job_id));
    } catch (error) {
      show(errors, error.message);
      if (error.status === 404) return;
    }
  }
  const className = job.state === "done" ? "said" : "error";
  place.replaceChildren(make("p", { role: "status", className }, S.jobs.ended(job)));
  await ended(job);
}

/** The latest job of a kind that has not ended, or undefined. */
export async function underWay(kind) {
  const { jobs } = await ask("GET", path("jobs"));
  return jobs.find((job) => job.kind === kind && isOpen(job));
}
