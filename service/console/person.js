// One person: who they are, where they were and when, and what can be done about them.
import { ask, pages, path } from "./api.js";
import { button, dialog, errorLine, field, form, make, show } from "./dom.js";
import { picture } from "./sighting.js";
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
  const facts = make("dl", { className: "wide" }, make("dt", {}, S.person.id), make("dd", {}, person.person_id));
  if (person.tags.length) facts.append(make("dt", {}, S.person.tags), make("dd", {}, person.tags.join(", ")));
  if (Object.keys(person.metadata).length) {
    const metadata = JSON.stringify(person.metadata, null, 1);
    facts.append(make("dt", {}, S.person.metadata), make("dd", {}, make("pre", {}, metadata)));
  }
  const actions = make(
    "div",
    { className: "actions" },
    make("a", { href: `#search/person/${encodeURIComponent(person.person_id)}` }, S.person.search),
    button(S.person.rename, () => rename(person, redraw), errors),
    button(S.person.merge, () => merge(person, redraw), errors),
    button(S.person.erase, () => erase(person), errors, { className: "danger" }),
  );
  return [make("h1", {}, person.name ?? person.person_id), facts, actions, errors];
}

/** A dialog with one button that does something, one that does nothing, and inputs; what `act` gave, or undefined. */
function confirm({ title, submit: words }, explanation, act, rows = [], className = "primary") {
  return dialog(title, (close) => {
    const submit = make("button", { type: "submit", className }, words);
    const lines = explanation.map((text) => make("p", {}, text));
    const asked = form({}, submit, async () => close(await act()), ...lines, ...rows);
    submit.after(make("button", { type: "button", onclick: () => close() }, S.cancel));
    return [asked];
  });
}

async function rename(person, redraw) {
  const { input, row } = field(S.rename.name, { value: person.name ?? "", maxLength: 128, autocomplete: "off" });
  const save = () => ask("PATCH", path("persons", person.person_id), { body: { name: input.value.trim() || null } });
  if ((await confirm(S.rename, [], save, [row])) !== undefined) await redraw();
}

async function merge(person, redraw) {
  const { input, row } = field(S.merge.other, { required: true, maxLength: 128, autocomplete: "off" });
  const join = () =>
    ask("POST", `${path("persons", person.person_id)}/merge`, { body: { other_id: input.value.trim() } });
  if ((await confirm(S.merge, [S.merge.explain(person.person_id)], join, [row])) !== undefined) await redraw();
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
  const facts = {
    [S.erase.number]: receipt_id,
    [S.erase.digest]: person_id_sha256,
    [S.erase.sightings]: String(sightings),
    [S.erase.images]: String(images),
    [S.erase.completed]: completed_at === null ? S.erase.pending(pending.join(", ")) : time(completed_at),
  };
  const rows = Object.entries(facts).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  return make("dl", { className: "wide receipt" }, ...rows);
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
