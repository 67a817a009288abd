// Live: who is seen, as it happens.
import { field, make } from "./dom.js";
import { picture, place, who } from "./sighting.js";
import { S } from "./strings.js";

const MOST = 200;

/** The page. It listens until it is left. */
export function open(view) {
  const state = make("p", { className: "summary", role: "status" }, S.live.connecting);
  const { input, row } = field(S.live.camera, { autocomplete: "off" });
  const list = make("ol", { className: "grid" });
  const empty = make("p", { className: "empty" }, S.live.empty);
  const wanted = (item) => !input.value.trim() || item.dataset.camera === input.value.trim();
  input.oninput = () => {
    for (const item of list.children) item.hidden = !wanted(item);
  };
  const seen = (event) => {
    const { sighting } = JSON.parse(event.data);
    const item = card(sighting);
    item.hidden = !wanted(item);
    empty.remove();
    list.prepend(item);
    if (list.childElementCount > MOST) list.lastChild.remove();
  };
  const source = new EventSource("/v1/events");
  source.addEventListener("person_seen", seen);
  source.addEventListener("unknown_person_seen", seen);
  source.onopen = () => (state.textContent = S.live.open);
  source.onerror = () => {
    state.textContent = source.readyState === EventSource.CLOSED ? S.live.closed : S.live.lost;
  };
  view.append(make("h1", {}, S.live.title), state, make("div", { className: "line" }, row), list, empty);
  return () => source.close();
}

function card(sighting) {
  const item = make("li", { className: "card" }, picture(sighting));
  item.append(make("div", { className: "facts" }, who(sighting.person_id), place(sighting)));
  item.dataset.camera = sighting.camera_id ?? "";
  return item;
}
