// Two people who are one: what would move is shown first.
import { ask, path } from "./api.js";
import { dialog, field, form, make } from "./dom.js";
import { picture } from "./sighting.js";
import { S } from "./strings.js";

const CROPS = 8;

/** Ask who else this person is, show what would move, and merge; the person then, or undefined. */
export function merge(person) {
  return dialog(S.merge.title, (close) => {
    const { input, row } = field(S.merge.other, { required: true, maxLength: 128, autocomplete: "off" });
    const preview = make("div", { role: "status" });
    const submit = make("button", { type: "submit", className: "primary" }, S.merge.preview);
    let seen = null;
    const say = (other, ...lines) => {
      seen = other;
      preview.replaceChildren(...lines);
      submit.textContent = other === null ? S.merge.preview : S.merge.submit;
    };
    input.oninput = () => say(null);
    const step = async () => {
      const other = input.value.trim();
      if (seen === null) say(other, ...(await moving(other, person.person_id)));
      else close(await ask("POST", `${path("persons", person.person_id)}/merge`, { body: { other_id: seen } }));
    };
    const asked = form({}, submit, step, make("p", {}, S.merge.explain(person.person_id)), row, preview);
    submit.after(make("button", { type: "button", onclick: () => close() }, S.cancel));
    return [asked];
  });
}

async function moving(id, into) {
  const other = await ask("GET", path("persons", id));
  const { sightings } = await ask("GET", path("sightings"), { query: { person_id: id, limit: CROPS } });
  const said = S.merge.moves(other.name ?? id, other.sightings, other.tags, into);
  return [make("p", {}, said), make("div", { className: "strip" }, ...sightings.map(picture))];
}
