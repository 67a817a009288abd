// Every word that the console shows. What people and cameras are called comes from the gallery.

const PLURAL = new Intl.PluralRules("en");

function count(number, one, other) {
  return `${number.toLocaleString("en")} ${PLURAL.select(number) === "one" ? one : other}`;
}

export const S = {
  product: "reid-service",
  pages: { search: "Search", people: "People", live: "Live" },
  navigation: "Pages",
  signIn: {
    title: "Sign in",
    explain: "With an API key. The browser keeps a cookie that stands for it for 12 hours, not the key.",
    make: "No key yet? On the service's machine: reid-service keys create --scope read --scope enrol --scope erase",
    key: "API key",
    submit: "Sign in",
    out: "Sign out",
  },
  close: "Close",
  cancel: "Cancel",
  loading: "Loading …",
  more: "Show more",
  unknown: "Unknown person",
  noCamera: "no camera",
  unreachable: "The service does not answer. Is it running?",
  notFound: "There is no such page.",
  cropOf: (who, camera) => `${who}, ${camera}`,
  search: {
    title: "Where else was this person?",
    drop: "Drop or paste images of one person here, or",
    pick: "choose files",
    several: "Several images of one person make one query: it is surer than any of them alone.",
    queryImage: (name) => `Query image ${name}`,
    box: "Draw a box",
    remove: "Remove",
    cameras: "Cameras",
    tags: "Tags",
    notCameras: "Not on cameras",
    commas: "Separated by commas",
    since: "From",
    until: "Until",
    most: "At most",
    byPerson: "Each person once",
    submit: "Search",
    stored: "Searching for the person of a sighting in the gallery.",
    storedPerson: (person) => `Searching for ${person}, by all their sightings.`,
    empty: "Add an image to see where else that person was.",
    nothing: "Nobody was found: none of the sightings is left by these filters. Widen them, or enrol sightings first.",
    searched: (shown, searched) =>
      `${count(shown, "match", "matches")} of ${count(searched, "sighting", "sightings")} searched.`,
    expected: (number, domain) =>
      `Expected false matches among strangers, down to the last one shown: ${number}, if people here are as unlike as ` +
      `those of the calibration (${domain}).`,
    uncalibrated: "There is no calibration: the scores come without a false-match rate.",
    score: "Score",
    rate: "False-match rate",
    oneIn: (number) => `1 in ${number}`,
    never: "none seen",
    like: "Search like this",
    assign: "This is …",
    reject: "Not them",
  },
  box: {
    title: "Draw a box around one person",
    explain: "Drag over the image, or type the box in pixels.",
    sides: { left: "Left", top: "Top", right: "Right", bottom: "Bottom" },
    submit: "Use the box",
    bad: "The box is empty: right must be beyond left, and bottom beyond top.",
  },
  assign: {
    title: "Who is this?",
    explain: "An id that is new makes a new person.",
    person: "Person id",
    submit: "Assign",
    done: (person) => `Assigned to ${person}.`,
    rejected: "The sighting is of an unknown person again.",
  },
  people: {
    title: "People",
    empty: "Nobody is enrolled yet. Enrol sightings with a person id, or search for somebody and say who a match is.",
    nobody: (tag) => `Nobody carries the tag ${tag}.`,
    sightings: (number) => count(number, "sighting", "sightings"),
    tag: "Tag",
    filter: "Filter",
  },
  person: {
    id: "Id",
    tags: "Tags",
    metadata: "Metadata",
    timeline: "Timeline",
    empty: "No sighting of this person is kept.",
    first: (number) => `The first ${number.toLocaleString("en")} sightings are shown.`,
    gap: (text) => `${text} later`,
    search: "Search for them",
    rename: "Name …",
    merge: "Merge …",
    erase: "Erase …",
  },
  rename: { title: "Name", name: "Name", submit: "Save" },
  merge: {
    title: "Merge two people",
    explain: (person) => `All sightings and tags of the other person go over to ${person}; the other id is then free.`,
    other: "Id of the other person",
    submit: "Merge",
  },
  erase: {
    title: "Erase this person?",
    explain: (person, sightings) =>
      `${person} goes from this gallery for good, with ${sightings}, their images, vectors and every mention. ` +
      "This cannot be undone.",
    submit: "Erase",
    receipt: "Erased",
    number: "Receipt",
    digest: "SHA-256 of the person id",
    sightings: "Sightings",
    images: "Images",
    completed: "Gone from the disk",
    pending: (parts) => `not yet: ${parts}`,
    back: "To the people",
  },
  live: {
    title: "Live",
    connecting: "Connecting …",
    open: "Listening. Sightings appear here as they are enrolled.",
    lost: "The connection was lost. Trying again …",
    closed: "The service closed the stream. Reload the page to listen again.",
    empty: "Nobody has been seen since you opened this page.",
    camera: "Only camera",
  },
};

const DURATION = [
  ["day", 86400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
];

/** A time span in words, in its largest unit. */
export function span(seconds) {
  const [unit, size] = DURATION.find(([, size]) => seconds >= size) ?? DURATION.at(-1);
  const number = Math.round(seconds / size);
  return unit === "day" ? count(number, "day", "days") : `${number} ${unit}`;
}

const TIME = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** A time of the API, as the viewer's clock says it. */
export function time(text) {
  return TIME.format(new Date(text));
}

/** A number with two digits that count. */
export function short(number) {
  return number.toLocaleString("en", { maximumSignificantDigits: 2, notation: number < 1e6 ? "standard" : "compact" });
}
