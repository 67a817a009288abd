// Every word that the console shows. What people and cameras are called comes from the gallery.

const PLURAL = new Intl.PluralRules("en");

function count(number, one, other) {
  return `${number.toLocaleString("en")} ${PLURAL.select(number) === "one" ? one : other}`;
}

export const S = {
  product: "reid-service",
  pages: {
    search: "Search",
    people: "People",
    live: "Live",
    clips: "Clips",
    evaluations: "Evaluation",
    models: "Models",
  },
  navigation: "Pages",
  signIn: {
    title: "Sign in",
    explain: "With an API key. The browser keeps a cookie that stands for it for 12 hours, not the key.",
    make: "No key yet? On the service's machine: reid-service keys create --scope read --scope enrol --scope erase",
    key: "API key",
    submit: "Sign in",
    out: "Sign out",
  },
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
    attributes: "Attributes",
    attributesHint: "Such as sunglasses=open",
    badAttribute: (text) => `expected attributes such as sunglasses=open, separated by commas, got ${text}`,
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
    looking: "Looking for people in the frame …",
    found: (number) => `The detector found ${count(number, "person", "people")}. Click on one, or:`,
    nobody: "The detector found nobody. Draw the box yourself.",
    person: (number, score) => `Person ${number} (${percent(score)})`,
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
    unknown: "Unknown people to name",
  },
  person: {
    id: "Id",
    tags: "Tags",
    metadata: "Metadata",
    timeline: "Timeline",
    empty: "No sighting of this person is kept.",
    earlier: "Show earlier ones",
    gap: (text) => `${text} earlier`,
    search: "Search for them",
    rename: "Name …",
    merge: "Merge …",
    split: "Split …",
    erase: "Erase …",
  },
  rename: { title: "Name", name: "Name", submit: "Save" },
  merge: {
    title: "Merge two people",
    explain: (person) => `All sightings and tags of the other person go over to ${person}; the other id is then free.`,
    other: "Id of the other person",
    preview: "Show what would move",
    moves: (other, sightings, tags, into) =>
      `${count(sightings, "sighting", "sightings")} of ${other} would go over to ${into}` +
      (tags.length ? `, and the tags ${tags.join(", ")}.` : "."),
    submit: "Merge",
  },
  split: {
    title: "Which of these is somebody else?",
    explain: "Choose the sightings that are of another person.",
    latest: (number) => `The latest ${number.toLocaleString("en")} are shown; those before after these are split off.`,
    into: "Id of that person",
    intoHint: "Empty: an id is made up",
    none: "Nothing would move: choose at least one sighting.",
    moves: (moving, person, into) =>
      `${count(moving.length, "sighting", "sightings")} would move to ${into || "a new person"}; ` +
      `${(person.sightings - moving.length).toLocaleString("en")} would stay with ${person.name ?? person.person_id}.`,
    submit: "Split",
  },
  unknownPeople: {
    title: "Unknown people",
    explain: "Say who they are, or search for others like them first. Sightings of one tracklet are named together.",
    back: "To the people who are known",
    empty: "Everybody who was seen is known.",
  },
  clips: {
    title: "What happens in a clip?",
    explain: "A clip is looked at and not kept. It stays in this tab, under its scores.",
    file: "Clip",
    bundle: "Bundle",
    dense: "Window after window",
    camera: "Camera",
    cameraHint: "What is recognised on it becomes an event",
    submit: "Recognise",
    empty: "Choose a clip to see its scores over time.",
    gone: "The service keeps no clips, and this tab has not sent the one of that action. Choose it again.",
    unplayable: (codec) => `The browser cannot play this clip (${codec}). Its scores are shown all the same.`,
    summary: ({ labels: [best], windows, num_frames: frames, fps, codec }) =>
      `${best.label}, ${percent(best.score)} on average over ${count(windows.length, "window", "windows")} · ` +
      `${count(frames, "frame", "frames")} at ${short(fps)} per second, ${codec}`,
    told: ({ label, score, camera_id: camera }) => `Told as an event: ${label} (${percent(score)}) on ${camera}.`,
    chart: (labels, duration) => `Scores of ${labels.join(", ")} over ${duration}. The table below has the numbers.`,
    table: (shown, all) =>
      shown === all ? "Scores by window" : `Scores by window: the best ${shown} of ${all} labels`,
    time: "Time",
    whole: "Whole clip",
    seek: "Go there",
  },
  jobs: {
    kinds: { evaluate: "Evaluation", activate: "Change of the bundle" },
    at: ({ state, progress }) => (state === "waiting" ? "Waiting for other jobs …" : `${percent(progress)} done`),
    ended: ({ state, reason, kind }) =>
      reason ?? { done: `${S.jobs.kinds[kind]}: done.`, cancelled: "Cancelled.", erased: S.jobs.erased }[state] ?? state,
    erased: "Somebody it spoke of was erased, and its result with them.",
  },
  models: {
    title: "Models",
    explain:
      "Every search is answered by the embedding bundle in force. Another can take its place: crops are embedded again.",
    active: "In force",
    kind: "Makes",
    kinds: { embedding: "vectors of people", classifier: "labels of crops", action: "labels of clips" },
    id: "Bundle",
    labels: "Labels",
    domain: "Measured on",
    sightings: "Sightings",
    licence: "Licence",
    figures: {
      rank_1: "Rank-1",
      rank_5: "Rank-5",
      rank_10: "Rank-10",
      mean_ap: "mAP",
      mean_ap_trapezoid: "mAP (trapezoid)",
      mean_inp: "mINP",
      equal_error_rate: "Equal error rate",
      accuracy: "Accuracy",
      mean_class_accuracy: "Mean class accuracy",
      expected_calibration_error: "Calibration error",
      loss: "Loss",
      num_files: "Files",
      num_queries: "Queries",
      num_valid_queries: "Valid queries",
      num_gallery: "Gallery",
      domain: "Measured on",
      protocol: "Protocol",
    },
    activate: {
      open: "Put in force …",
      title: "Put this bundle in force?",
      explain: (name) =>
        `All kept crops are embedded by ${name}, then everything is answered by it at once. Until then, and if this is ` +
        "cancelled, the present bundle answers. A calibration of your own holds for its bundle alone.",
      submit: "Put in force",
    },
    rollback: {
      open: (name) => `Back to ${name} …`,
      title: "Back to the bundle before?",
      explain: (name) => `${name} is put in force again. Only what was enrolled meanwhile is embedded anew.`,
      submit: "Go back",
    },
  },
  compare: {
    title: "Compare two bundles",
    one: "One",
    other: "Another",
    same: "Choose two different bundles.",
    figure: "Figure",
    difference: "Difference",
    brought: "Figures that the bundles brought",
    here: "The latest evaluations on this gallery",
    notHere: "To compare them on your own people, run an evaluation with each of them in force.",
    apart: "Not measured on the same: these differences say little.",
  },
  evaluations: {
    title: "Evaluation",
    explain:
      "Sightings of the people you named and confirmed ask, and the gallery answers: how often is the right person first?",
    domain: "Measured on",
    here: "this gallery",
    exclude: "Not counted",
    excluded: { "same-camera": "own camera", "same-tracklet": "own tracklet" },
    most: "Queries at most",
    pictures: "Pictures in the report",
    submit: "Evaluate",
    past: "Evaluations of the last days",
    empty: "None yet. An evaluation needs people who were seen on two cameras.",
    report: "Open the report",
    calibrate: "Calibrate with it",
    calibrated: "Its calibration is in force.",
    forget: "Forget",
    bundle: "Bundle",
  },
  calibration: {
    title: "Calibration in force",
    domain: "Measured on",
    source: "From",
    sources: { bundle: "the bundle", operator: "an evaluation or a file of yours" },
    since: "Since",
    pairs: "Comparisons",
    counted: (same, different) =>
      `${same.toLocaleString("en")} of one person, ${different.toLocaleString("en")} of different people`,
    cameras: "Tables of their own",
    reset: "Back to the bundle's own",
  },
  health: {
    title: "Health and queue",
    state: "Service",
    ready: "ready",
    durability: "An answered write survives",
    queue: "Queue",
    admin: "only a key with the scope admin sees it",
    waiting: "Images that wait",
    wait: "Mean wait",
    model: "Mean batch",
    milliseconds: (number) => `${short(number)} ms`,
    shed: "Refused for want of time",
    indexed: "Sightings searched",
    erasures: "Erasures",
    pending: "something erased is not gone from the disk yet",
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
    open: "Listening. Sightings and actions appear here as they come in.",
    lost: "The connection was lost. Trying again …",
    closed: "The service closed the stream. Reload the page to listen again.",
    empty: "Nothing has come in since you first opened this page.",
    camera: "Only camera",
    action: (label, score) => `${label}, ${score}`,
    until: (text) => `until ${text}`,
    clip: "See the clip",
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

/** A share of one, in percent. */
export function percent(share) {
  return `${(100 * share).toLocaleString("en", { maximumFractionDigits: 1 })} %`;
}

/** Seconds of a clip, as a player says them. */
export function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(1).padStart(4, "0")}`;
}

/** A figure of an evaluation: a count as it is, a share with four digits; text stays, and nothing is a dash. */
export function figure(value) {
  if (typeof value !== "number") return value ?? "–";
  return Number.isInteger(value) && Math.abs(value) > 1 ? value.toLocaleString("en") : value.toFixed(4);
}

/** A number with two digits that count. */
export function short(number) {
  return number.toLocaleString("en", { maximumSignificantDigits: 2, notation: number < 1e6 ? "standard" : "compact" });
}
