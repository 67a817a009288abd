// A sighting as the console shows it, and what can be said of it.
import { ask, path } from "./api.js";
import { confirm, field, make } from "./dom.js";
import { S, time } from "./strings.js";

/** Its crop, loaded when it comes into sight. */
export function picture(sighting) {
  const who = sighting.person_id ?? S.unknown;
  return make("img", {
    loading: "lazy",
    width: 64,
    height: 128,
    alt: S.cropOf(who, sighting.camera_id ?? S.noCamera),
    src: `${path("sightings", sighting.sighting_id)}/thumbnail`,
  });
}

/** A link to the person, or words for nobody known. */
export function who(personId) {
  if (personId === null) return make("span", { className: "unknown" }, S.unknown);
  return make("a", { href: personLink(personId) }, personId);
}

/** The address of a person's page. */
export function personLink(personId) {
  return `#person/${encodeURIComponent(personId)}`;
}

/** Where and when. */
export function place(sighting) {
  return make(
    "div",
    { className: "place" },
    make("span", { className: "camera" }, sighting.camera_id ?? S.noCamera),
    make("time", { dateTime: sighting.captured_at }, time(sighting.captured_at)),
  );
}

/** Ask who it is and say so of all of these sightings; the last as it is then, or undefined if nothing was said. */
export function assign(...sightings) {
  const { input, row } = field(S.assign.person, {
    required: true,
    maxLength: 128,
    value: sightings[0].person_id ?? "",
    autocomplete: "off",
  });
  const save = async () => {
    let changed;
    for (const sighting of sightings) changed = await move(sighting, input.value.trim());
    return changed;
  };
  return confirm(S.assign, [S.assign.explain], save, [row]);
}

/** Move a sighting to a person, or with null to nobody known. */
export function move(sighting, personId) {
  return ask("PATCH", path("sightings", sighting.sighting_id), { body: { person_id: personId } });
}
