// One person: who they are, where they were and when, and what can be done about them.
import { ask, pages, path } from "./api.js";
import { button, confirm, dialog, errorLine, facts, field, make, show } from "./dom.js";
import { merge } from "./merge.js";
import { picture } from "./sighting.js";
import { split } from "./split.js";
import { S, span, time } from "./strings.js";

const MOST = 1000;
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
    const records = pages("sightings", { person_id: id, limit: MOST });
    timeline.replaceChildren(...visits(await records.next(), records.done));
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

/** Sightings in the order of time, those of one camera close together as one visit, with the gaps between. */
function visits(sightings, complete) {
  const head = make("h2", {}, S.person.timeline);
  if (sightings.length === 0) return [head, make("p", { className: "empty" }, S.person.empty)];
  const rows = [];
  let end = null;
  for (const visit of grouped(sightings)) {
    const began = Date.parse(visit[0].captured_at);
    if (end !== null) rows.push(make("li", { className: "gap" }, S.person.gap(span((began - end) / 1000))));
    rows.push(row(visit));
    end = Date.parse(visit.at(-1).captured_at);
  }
  const note = complete ? null : make("p", { className: "quiet" }, S.person.first(sightings.length));
  return [head, make("ol", { className: "timeline" }, ...rows), ...(note === null ? [] : [note])];
}

function grouped(sightings) {
  const found = [];
  for (const sighting of sightings.toSorted((a, b) => Date.parse(a.captured_at) - Date.parse(b.captured_at))) {
    const last = found.at(-1)?.at(-1);
    const goesOn =
      last !== undefined &&
      last.camera_id === sighting.camera_id &&
      Date.parse(sighting.captured_at) - Date.parse(last.captured_at) < ONE_VISIT_MS;
    if (goesOn) found.at(-1).push(sighting);
    else found.push([sighting]);
  }
  return found;
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
