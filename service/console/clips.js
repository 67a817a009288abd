// Clips: what happens in one, over its time.
import { ask, path } from "./api.js";
import { chart } from "./chart.js";
import { choice, errorLine, field, form, make, show, table, tick } from "./dom.js";
import { recall, remember } from "./sent.js";
import { S, clock, percent } from "./strings.js";

const LABELS = 6;
const DEFAULT = "fights";

/** The page; `action` is one whose clip was sent from this tab. */
export function open(view, action) {
  const clip = field(S.clips.file, { type: "file", accept: "video/*,.mkv,.avi", required: true });
  const bundle = choice(S.clips.bundle, []);
  const dense = tick(S.clips.dense, { checked: true });
  const camera = field(S.clips.camera, { autocomplete: "off", maxLength: 128 }, S.clips.cameraHint);
  const submit = make("button", { type: "submit", className: "primary" }, S.clips.submit);
  const results = make("section", { className: "results", "aria-live": "polite" });
  let end = () => {};
  const draw = (file, answer) => {
    end();
    end = played(results, file, answer);
  };
  const run = async () => {
    const [file] = clip.input.files;
    const body = new FormData();
    body.append("file", file);
    body.append("bundle", bundle.input.value);
    body.append("windows", dense.input.checked ? "dense" : "one");
    if (camera.input.value.trim()) body.append("camera_id", camera.input.value.trim());
    const answer = await ask("POST", path("actions"), { body });
    remember(file, answer);
    draw(file, answer);
  };
  const fields = make("div", { className: "filters" }, clip.row, bundle.row, camera.row, dense.row);
  const errors = errorLine();
  const asked = form({ className: "panel" }, submit, run, make("p", {}, S.clips.explain), fields);
  view.append(make("h1", {}, S.clips.title), asked, errors, results);
  offerBundles(bundle.input).catch((error) => show(errors, error.message));
  const known = action === undefined ? undefined : recall(action);
  if (known !== undefined) draw(known.file, known.answer);
  else results.append(make("p", { className: "empty" }, action === undefined ? S.clips.empty : S.clips.gone));
  return () => end();
}

async function offerBundles(select) {
  const { models } = await ask("GET", path("models"));
  for (const { kind, name } of models) {
    if (kind === "action") select.append(make("option", { value: name, selected: name === DEFAULT }, name));
  }
}

/** Fill `place` with a player and the scores under it; the answer lets go of the clip. */
function played(place, file, answer) {
  const url = URL.createObjectURL(file);
  const note = make("p", { className: "quiet", role: "status", hidden: true });
  const player = make("video", { controls: true, muted: true, playsInline: true, src: url, "aria-label": file.name });
  player.onerror = () => show(note, S.clips.unplayable(answer.codec));
  const labels = answer.labels.slice(0, LABELS).map(({ label }) => label);
  const seek = (time) => (player.currentTime = time);
  const scores = chart(answer, labels, seek);
  player.ontimeupdate = () => scores.at(player.currentTime);
  const said = [S.clips.summary(answer), ...answer.events.map(S.clips.told)].map((text) => make("p", {}, text));
  const below = [scores.element, ...said, windowsTable(answer, labels, seek)];
  place.replaceChildren(make("div", { className: "clip" }, player, note, ...below));
  return () => URL.revokeObjectURL(url);
}

/** The same scores as a table: for who reads rather than sees, and to go to a window by keyboard. */
function windowsTable({ windows, labels }, shown, seek) {
  const cells = (scores) => shown.map((label) => percent(scores.find((one) => one.label === label).score));
  const go = ({ start_s: start, end_s: end }) => {
    const words = `${clock(start)} – ${clock(end)}`;
    return make("button", { type: "button", onclick: () => seek(start), title: S.clips.seek }, words);
  };
  const rows = [[S.clips.whole, ...cells(labels)], ...windows.map((one) => [go(one), ...cells(one.labels)])];
  return table(S.clips.table(shown.length, labels.length), [S.clips.time, ...shown], rows);
}
