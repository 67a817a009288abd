// People: everybody who is known, in the order they were added.
import { ask, pages, path } from "./api.js";
import { button, errorLine, field, form, make } from "./dom.js";
import { personLink, picture } from "./sighting.js";
import { S } from "./strings.js";

const PAGE = 48;

/** The page; `tag` shows only those who carry it. */
export function open(view, tag = "") {
  const { input, row } = field(S.people.tag, { value: tag, autocomplete: "off" });
  const submit = make("button", { type: "submit" }, S.people.filter);
  const go = async () => {
    const wanted = input.value.trim();
    location.hash = wanted ? `people/${encodeURIComponent(wanted)}` : "people";
  };
  const list = make("ul", { className: "grid people" });
  const errors = errorLine();
  const records = pages("persons", { limit: PAGE, tag });
  const portraits = new IntersectionObserver(inSight, { rootMargin: "400px" });
  const load = async () => {
    const found = await records.next();
    if (found.length + list.childElementCount === 0) {
      list.replaceWith(make("p", { className: "empty" }, tag ? S.people.nobody(tag) : S.people.empty));
    }
    for (const person of found) {
      const item = entry(person);
      list.append(item);
      portraits.observe(item);
    }
    more.hidden = records.done;
  };
  const more = button(S.more, load, errors);
  view.append(make("h1", {}, S.people.title), form({ className: "line" }, submit, go, row), list, errors, more);
  more.click();
  return () => portraits.disconnect();
}

function entry(person) {
  const link = make("a", { href: personLink(person.person_id) }, person.name ?? person.person_id);
  const id = person.name === null ? null : make("span", { className: "quiet" }, person.person_id);
  const facts = make("div", { className: "facts" }, link, id, make("span", {}, S.people.sightings(person.sightings)));
  const item = make("li", { className: "card" }, make("div", { className: "portrait" }), facts);
  item.dataset.person = person.person_id;
  return item;
}

function inSight(entries, observer) {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    observer.unobserve(target);
    portray(target);
  }
}

/** One of the person's crops. A portrait that cannot be had stays blank: the list is of use without it. */
async function portray(item) {
  const query = { person_id: item.dataset.person, limit: 1 };
  const { sightings } = await ask("GET", path("sightings"), { query }).catch(() => ({ sightings: [] }));
  if (sightings.length) item.firstChild.replaceWith(picture(sightings[0]));
}
