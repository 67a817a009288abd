// People: everybody who is known, in the order they were added.
import { ask, pages, path } from "./api.js";
import { errorLine, field, form, make, show } from "./dom.js";
import { personLink, picture } from "./sighting.js";
import { S } from "./strings.js";
import { windowed } from "./windowed.js";

const PAGE = 1000;

/** The page; `tag` shows only those who carry it. */
export function open(view, tag = "") {
  const { input, row } = field(S.people.tag, { value: tag, autocomplete: "off" });
  const submit = make("button", { type: "submit" }, S.people.filter);
  const go = async () => {
    const wanted = input.value.trim();
    location.hash = wanted ? `people/${encodeURIComponent(wanted)}` : "people";
  };
  const errors = errorLine();
  const failed = (error) => show(errors, error.message);
  const records = pages("persons", { limit: PAGE, tag });
  const people = windowed(records, { entry, settled: portray, failed, className: "people" });
  const unknown = make("a", { href: "#unknown" }, S.people.unknown);
  const head = make("div", { className: "line" }, form({ className: "line" }, submit, go, row), unknown);
  view.append(make("h1", {}, S.people.title), head, errors, people.list);
  people.load().then(() => {
    if (!people.isEmpty() || !errors.hidden) return;
    people.list.replaceWith(make("p", { className: "empty" }, tag ? S.people.nobody(tag) : S.people.empty));
  });
  return people.end;
}

function entry(person) {
  const link = make("a", { href: personLink(person.person_id) }, person.name ?? person.person_id);
  const id = person.name === null ? null : make("span", { className: "quiet" }, person.person_id);
  const facts = make("div", { className: "facts" }, link, id, make("span", {}, S.people.sightings(person.sightings)));
  const portrait = person.portrait ? picture(person.portrait) : make("div", { className: "portrait" });
  return make("li", { className: "card" }, portrait, facts);
}

/** One of the person's crops, asked for once. A portrait that cannot be had stays blank: the list is of use without. */
async function portray(person, item) {
  if (person.portrait !== undefined) return;
  person.portrait = null;
  const query = { person_id: person.person_id, limit: 1 };
  const { sightings } = await ask("GET", path("sightings"), { query }).catch(() => ({ sightings: [] }));
  if (sightings.length === 0) return;
  person.portrait = sightings[0];
  item.firstChild.replaceWith(picture(person.portrait));
}
