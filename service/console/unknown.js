// Unknown people: sightings of nobody known yet, those of one tracklet together, to be named.
import { pages } from "./api.js";
import { button, errorLine, make, show } from "./dom.js";
import { assign, picture, place, who } from "./sighting.js";
import { S } from "./strings.js";

const PAGE = 200;
const CROPS = 4;

/** The page. */
export function open(view) {
  const errors = errorLine();
  const list = make("ul", { className: "grid" });
  const records = pages("sightings", { known: "false", limit: PAGE });
  const cards = new Map();
  const load = async () => {
    for (const sighting of await records.next()) {
      const track = sighting.tracklet_id ?? sighting.sighting_id;
      if (cards.has(track)) cards.get(track).add(sighting);
      else list.append(cards.set(track, card(sighting)).get(track).item);
    }
    if (cards.size === 0) list.replaceWith(make("p", { className: "empty" }, S.unknownPeople.empty));
    more.hidden = records.done;
  };
  const more = button(S.more, load, errors);
  const back = make("p", {}, make("a", { href: "#people" }, S.unknownPeople.back));
  view.append(make("h1", {}, S.unknownPeople.title), back, make("p", {}, S.unknownPeople.explain), list, errors, more);
  more.click();
}

function card(first) {
  const sightings = [];
  const errors = errorLine();
  const said = make("p", { className: "said", role: "status", hidden: true });
  const crops = make("div", { className: "strip" });
  const number = make("span", {});
  const name = async () => {
    const changed = await assign(...sightings);
    if (changed === undefined) return;
    facts.firstChild.replaceWith(who(changed.person_id));
    show(said, S.assign.done(changed.person_id));
    actions.remove();
  };
  const like = make("a", { href: `#search/sighting/${encodeURIComponent(first.sighting_id)}` }, S.search.like);
  const actions = make("div", { className: "actions" }, button(S.search.assign, name, errors), like);
  const facts = make("div", { className: "facts" }, who(null), place(first), number, crops, actions, said, errors);
  const add = (sighting) => {
    sightings.push(sighting);
    number.textContent = S.people.sightings(sightings.length);
    if (sightings.length <= CROPS) crops.append(picture(sighting));
  };
  add(first);
  return { item: make("li", { className: "card" }, facts), add };
}
