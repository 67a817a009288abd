// One person: who they are, where they were and when, and what can be done about them.
import { ask, pages, path } from "./api.js";
import { button, confirm, dialog, errorLine, facts, field, make, show } from "./dom.js";
import { merge } from "./merge.js";
import { picture } from "./sighting.js";
import { split } from "./split.js";
import { S, span, time } from "./strings.js";

const PAGE = 200;
const ONE_VISIT_MS = 5 * 60 * 1000;

/** The page of the person of that id. */
export function open(view, id) {
  const errors = errorLine();
  const head = make("section", {}, make("p", {}, S.loading));
  const timeline = make("section", {});
  view.append(errors, head, timeline);
  const draw = async () => {
    const person = await ask("GET", path("persons", id));
    head.replaceChildren(...identity(person, draw));
    await followed(timeline, id);
  };
  draw().catch((error) => {
    head.replaceChildren();
    show(errors, error.message);
  });
}

function identity(person, redraw) {
  const errors = errorLine();
  const after = async (asked) => {
    if ((await asked) !== undefined) await redraw();
  };
  const metadata = Object.keys(person.metadata).length ? JSON.stringify(person.metadata, null, 1) : null;
  const known = {
    [S.person.id]: person.person_id,
    [S.person.tags]: person.tags.join(", ") || null,
    [S.person.metadata]: metadata === null ? null : make("pre", {}, metadata),
  };
  const actions = make(
    "div",
    { className: "actions" },
    make("a", { href: `#search/person/${encodeURIComponent(person.person_id)}` }, S.person.search),
    button(S.person.rename, () => after(rename(person)), errors),
    button(S.person.merge, () => after(merge(person)), errors),
    button(S.person.split, () => after(split(person)), errors),
    button(S.person.erase, () => erase(person), errors, { className: "danger" }),
  );
  return [make("h1", {}, person.name ?? person.person_id), facts(known, { className: "wide" }), actions, errors];
}

function rename(person) {
  const { input, row } = field(S.rename.name, { value: person.name ?? "", maxLength: 128, autocomplete: "off" });
  const save = () => ask("PATCH", path("persons", person.person_id), { body: { name: input.value.trim() || null } });
  return confirm(S.rename, [], save, [row]);
}

async function erase(person) {
  const said = S.erase.explain(person.name ?? person.person_id, S.people.sightings(person.sightings));
  const go = () => ask("DELETE", path("persons", person.person_id));
  const answer = await confirm(S.erase, [said], go, [], "danger");
  if (answer === undefined) return;
  await dialog(S.erase.receipt, (close) => {
    const back = make("button", { type: "button", className: "primary", onclick: () => close() }, S.erase.back);
    return [receipt(answer.receipt), make("div", { className: "actions" }, back)];
  });
  location.hash = "people";
}

function receipt({ receipt_id, person_id_sha256, sightings, images, completed_at, pending }) {
  const said = {
    [S.erase.number]: receipt_id,
    [S.erase.digest]: person_id_sha256,
    [S.erase.sightings]: String(sightings),
    [S.erase.images]: String(images),
    [S.erase.completed]: completed_at === null ? S.erase.pending(pending.join(", ")) : time(completed_at),
  };
  return facts(said, { className: "wide receipt" });
}

/** The timeline of a person in `place`: the latest first, those before as they are asked for. */
async function followed(place, id) {
  const records = pages("sightings", { person_id: id, order: "latest", limit: PAGE });
  const sightings = [];
  const errors = errorLine();
  const list = make("ol", { className: "timeline" });
  const earlier = async () => {
    sightings.push(...(await records.next()));
    list.replaceChildren(...visits(sightings));
    more.hidden = records.done;
  };
  const more = button(S.person.earlier, earlier, errors);
  await earlier();
  const shown = sightings.length === 0 ? make("p", { className: "empty" }, S.person.empty) : list;
  place.replaceChildren(make("h2", {}, S.person.timeline), shown, errors, more);
}

/** Rows of sightings, the latest first: those of one camera close together as one visit, and the gaps between. */
function visits(sightings) {
  const rows = [];
  let after = null;
  for (const visit of grouped(sightings)) {
    if (after !== null) rows.push(make("li", { className: "gap" }, S.person.gap(span(apart(visit.at(-1), after) / 1000))));
    rows.push(row(visit));
    after = visit[0];
  }
  return rows;
}

/** Visits, the latest first; the sightings of each in the order of time. */
function grouped(sightings) {
  const found = [];
  for (const sighting of sightings) {
    const next = found.at(-1)?.[0];
    const goesOn =
      next !== undefined && next.camera_id === sighting.camera_id && apart(sighting, next) < ONE_VISIT_MS;
    if (goesOn) found.at(-1).unshift(sighting);
    else found.push([sighting]);
  }
  return found;
}

function apart(earlier, later) {
  return Date.parse(later.captured_at) - Date.parse(earlier.captured_at);
}

function row(visit) {
  const [first] = visit;
  return make(
    "li",
    { className: "visit" },
    make(
      "div",
      { className: "place" },
      make("span", { className: "camera" }, first.camera_id ?? S.noCamera),
      make("time", { dateTime: first.captured_at }, time(first.captured_at)),
      make("span", { className: "quiet" }, S.people.sightings(visit.length)),
    ),
    make("div", { className: "strip" }, ...visit.map(linked)),
  );
}

/** A crop that leads to a search for whoever looks like it. */
function linked(sighting) {
  const id = encodeURIComponent(sighting.sighting_id);
  return make("a", { href: `#search/sighting/${id}`, title: S.search.like }, picture(sighting));
}
