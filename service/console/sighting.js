// A sighting as the console shows it, and what can be said of it.
import { ask, path } from "./api.js";
import { dialog, field, form, make } from "./dom.js";
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

/** Ask who it is and say so; the sighting as it is then, or undefined if nothing was said. */
export function assign(sighting) {
  return dialog(S.assign.title, (close) => {
    const { input, row } = field(S.assign.person, {
      required: true,
      maxLength: 128,
      value: sighting.person_id ?? "",
      autocomplete: "off",
    });
    const submit = make("button", { type: "submit", className: "primary" }, S.assign.submit);
    const save = async () => close(await move(sighting, input.value.trim()));
    const cancel = make("button", { type: "button", onclick: () => close() }, S.cancel);
    const asked = form({}, submit, save, make("p", {}, S.assign.explain), row);
    submit.after(cancel);
    return [asked];
  });
}

/** Move a sighting to a person, or with null to nobody known. */
export function move(sighting, personId) {
  return ask("PATCH", path("sightings", sighting.sighting_id), { body: { person_id: personId } });
}
