// Live: who is seen and what is recognised, as it happens.
import { ask, path } from "./api.js";
import { field, make } from "./dom.js";
import { health } from "./health.js";
import { recall } from "./sent.js";
import { picture, place, who } from "./sighting.js";
import { S, percent, time } from "./strings.js";

const KINDS = ["person_seen", "unknown_person_seen", "action_recognised"];
const MOST = 200;
let heard = null; // the last change that was told: what happens while another page is open is told on the way back

/** The page. It listens until it is left. */
export function open(view) {
  const state = make("p", { className: "summary", role: "status" }, S.live.connecting);
  const cameras = make("datalist", { id: "cameras-seen" });
  const { input, row } = field(S.live.camera, { autocomplete: "off" });
  input.setAttribute("list", cameras.id);
  const list = make("ol", { className: "grid" });
  const empty = make("p", { className: "empty" }, S.live.empty);
  const wanted = (item) => !input.value.trim() || item.dataset.camera === input.value.trim();
  input.oninput = () => {
    for (const item of list.children) item.hidden = !wanted(item);
  };
  const add = (item, camera) => {
    item.dataset.camera = camera ?? "";
    item.hidden = !wanted(item);
    empty.remove();
    list.prepend(item);
    if (list.childElementCount > MOST) list.lastChild.remove();
    const isNew = camera !== null && ![...cameras.options].some(({ value }) => value === camera);
    if (isNew) cameras.append(make("option", { value: camera }));
  };
  const told = (event) => {
    const { sighting, action, change } = JSON.parse(event.data);
    heard = change;
    if (action === undefined) add(sightingCard(sighting), sighting.camera_id);
    else add(actionCard(action), action.camera_id);
  };
  const filter = make("div", { className: "line" }, row, cameras);
  view.append(make("h1", {}, S.live.title), health(), state, filter, list, empty);
  const listening = listen(told, (text) => (state.textContent = text));
  return () => listening.abort();
}

/** Have every event told until the answer is aborted; `say` is given how the connection is. */
function listen(told, say) {
  const listening = new AbortController();
  const begin = async () => {
    heard ??= (await ask("GET", path("persons"), { query: { limit: 1 } })).change;
    if (listening.signal.aborted) return;
    const source = new EventSource(`${path("events")}?after=${heard}`);
    for (const kind of KINDS) source.addEventListener(kind, told);
    source.onopen = () => say(S.live.open);
    source.onerror = () => say(source.readyState === EventSource.CLOSED ? S.live.closed : S.live.lost);
    listening.signal.addEventListener("abort", () => source.close());
  };
  begin().catch((error) => say(error.message));
  return listening;
}

function sightingCard(sighting) {
  return make(
    "li",
    { className: "card" },
    picture(sighting),
    make("div", { className: "facts" }, who(sighting.person_id), place(sighting)),
  );
}

function actionCard(action) {
  const clip = { href: `#clips/${encodeURIComponent(action.action_id)}` };
  return make(
    "li",
    { className: "card action" },
    make(
      "div",
      { className: "facts" },
      make("strong", {}, S.live.action(action.label, percent(action.score))),
      place({ camera_id: action.camera_id, captured_at: action.started_at }),
      make("span", { className: "quiet" }, S.live.until(time(action.ended_at))),
      recall(action.action_id) === undefined ? null : make("a", clip, S.live.clip),
    ),
  );
}
