// One person who is two: which sightings are of somebody else.
import { ask, pages, path } from "./api.js";
import { confirm, field, make } from "./dom.js";
import { picture } from "./sighting.js";
import { S, time } from "./strings.js";

const MOST = 1000;

/** Have sightings chosen, say what would move, and split; who they are of then, or undefined. */
export async function split(person) {
  const records = pages("sightings", { person_id: person.person_id, order: "latest", limit: MOST });
  const sightings = await records.next();
  const { input, row } = field(S.split.into, { maxLength: 128, autocomplete: "off" }, S.split.intoHint);
  const preview = make("p", { role: "status" });
  const choices = sightings.map(choosable);
  const chosen = () => sightings.filter((_, index) => choices[index].input.checked);
  const say = () => (preview.textContent = S.split.moves(chosen(), person, input.value.trim()));
  for (const one of [input, ...choices.map((choice) => choice.input)]) one.addEventListener("input", say);
  say();
  const save = () => {
    const sighting_ids = chosen().map((sighting) => sighting.sighting_id);
    if (sighting_ids.length === 0) throw new Error(S.split.none);
    const body = { sighting_ids, into: input.value.trim() || null };
    return ask("POST", `${path("persons", person.person_id)}/split`, { body });
  };
  const strip = make("div", { className: "strip choices" }, ...choices.map((choice) => choice.label));
  const explanation = records.done ? [S.split.explain] : [S.split.explain, S.split.latest(MOST)];
  return confirm(S.split, explanation, async () => save(), [strip, row, preview]);
}

function choosable(sighting) {
  const input = make("input", { type: "checkbox" });
  const words = make("small", {}, `${sighting.camera_id ?? S.noCamera}, ${time(sighting.captured_at)}`);
  return { input, label: make("label", {}, input, picture(sighting), words) };
}
