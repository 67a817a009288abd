// Health and queue: what anybody may know from /readyz, and what /metrics tells a key with the scope admin.
import { ask } from "./api.js";
import { facts, make } from "./dom.js";
import { current } from "./session.js";
import { S, short } from "./strings.js";

const PAUSE_MS = 5000;

/** A section that asks again every few seconds until its page is left. */
export function health() {
  const place = make("div", {}, S.loading);
  const watch = async () => {
    const session = await current();
    if (session === null) return;
    const counts = session.scopes.includes("admin") && session.cameras === null;
    do {
      place.replaceChildren(await look(counts));
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    } while (place.isConnected);
  };
  watch().catch((error) => place.replaceChildren(error.message));
  return make("section", { className: "panel health", "aria-label": S.health.title }, place);
}

async function look(counts) {
  try {
    const ready = await ask("GET", "/readyz");
    const queue = counts ? figures(await ask("GET", "/metrics")) : { [S.health.queue]: S.health.admin };
    const known = { [S.health.state]: S.health.ready, [S.health.durability]: ready.durability, ...queue };
    return facts(known);
  } catch (error) {
    return make("p", { className: "error" }, error.message);
  }
}

function figures(text) {
  const value = (name) => Number(text.match(new RegExp(`^${name} (\\S+)$`, "m"))[1]);
  const batches = value("reid_model_seconds_count");
  const waited = value("reid_model_wait_seconds_count");
  return {
    [S.health.waiting]: short(value("reid_model_waiting_images")),
    [S.health.wait]: waited ? S.health.milliseconds((1000 * value("reid_model_wait_seconds_sum")) / waited) : null,
    [S.health.model]: batches ? S.health.milliseconds((1000 * value("reid_model_seconds_sum")) / batches) : null,
    [S.health.shed]: short(value("reid_model_shed_total")),
    [S.health.indexed]: value("reid_sightings_indexed").toLocaleString("en"),
    [S.health.erasures]: value("reid_erasure_pending") ? S.health.pending : null,
  };
}
