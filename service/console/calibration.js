// The calibration in force: on whom it was measured, and since when.
import { ask, path } from "./api.js";
import { button, errorLine, facts, make, show } from "./dom.js";
import { S, time } from "./strings.js";

/** A section about it; `draw(answer)` shows another. */
export function inForce() {
  const errors = errorLine();
  const place = make("div", {});
  const draw = ({ domain, source, set_at, num_genuine_pairs: same, num_impostor_pairs: different, camera_pairs }) => {
    const known = {
      [S.calibration.domain]: domain,
      [S.calibration.source]: S.calibration.sources[source],
      [S.calibration.since]: set_at === null ? null : time(set_at),
      [S.calibration.pairs]: S.calibration.counted(same, different),
      [S.calibration.cameras]: camera_pairs.map(({ cameras }) => cameras.join(" – ")).join(", ") || null,
    };
    const reset = async () => {
      await ask("DELETE", path("calibration"));
      await load();
    };
    const own = source === "operator" ? button(S.calibration.reset, reset, errors) : "";
    place.replaceChildren(facts(known, { className: "wide" }), own);
  };
  const load = async () => draw(await ask("GET", path("calibration")));
  load().catch((error) => {
    if (error.status === 404) place.replaceChildren(make("p", {}, S.search.uncalibrated));
    else show(errors, error.message);
  });
  return { element: make("section", {}, make("h2", {}, S.calibration.title), place, errors), draw };
}
