// Search: who is asked for, and where else they were seen.
import { ask } from "./api.js";
import { button, errorLine, facts, field, form, make, show, tick } from "./dom.js";
import { imagePlace } from "./images.js";
import { assign, move, picture, place, who } from "./sighting.js";
import { S, short } from "./strings.js";

const MOST_IN_WORDS = 1e9;

/** The page; `kind` and `id` name a stored query: a sighting or a person. */
export function open(view, kind, id) {
  const results = make("section", { className: "results", "aria-live": "polite" });
  const images = kind === undefined ? imagePlace(() => (submit.disabled = images.files().length === 0)) : null;
  const submit = make("button", { type: "submit", className: "primary", disabled: images !== null }, S.search.submit);
  const filters = filterFields();
  const run = async () => {
    const terms = filters.terms();
    const answer = await (images === null ? byId(kind, id, terms) : byImages(images.files(), terms));
    results.replaceChildren(...drawn(answer.results[0], answer.calibration));
  };
  const head = make("h1", {}, S.search.title);
  const source = images?.place ?? make("p", {}, kind === "person" ? S.search.storedPerson(id) : S.search.stored);
  const asked = form({ className: "panel" }, submit, run, source, filters.rows);
  view.append(head, asked, results);
  if (images === null) asked.requestSubmit();
  else results.append(make("p", { className: "empty" }, S.search.empty));
  return images?.end;
}

function byImages(files, terms) {
  const body = new FormData();
  for (const file of files) body.append("file", file);
  body.append("query", JSON.stringify(terms));
  return ask("POST", "/v1/search", { body });
}

function byId(kind, id, terms) {
  return ask("POST", "/v1/search", { body: { queries: [{ [`${kind}_id`]: id }], ...terms } });
}

function filterFields() {
  const cameras = field(S.search.cameras, { autocomplete: "off" }, S.search.commas);
  const notCameras = field(S.search.notCameras, { autocomplete: "off" }, S.search.commas);
  const tags = field(S.search.tags, { autocomplete: "off" }, S.search.commas);
  const attributes = field(S.search.attributes, { autocomplete: "off" }, S.search.attributesHint);
  const since = field(S.search.since, { type: "datetime-local", step: 1 });
  const until = field(S.search.until, { type: "datetime-local", step: 1 });
  const most = field(S.search.most, { type: "number", min: 1, max: 1000, value: 24, required: true });
  const once = tick(S.search.byPerson);
  const terms = () => {
    const filter = {
      cameras: parts(cameras.input),
      not_cameras: parts(notCameras.input),
      tags: parts(tags.input),
      attributes: Object.fromEntries(parts(attributes.input).map(attribute)),
    };
    if (since.input.value) filter.since = new Date(since.input.value).toISOString();
    if (until.input.value) filter.until = new Date(until.input.value).toISOString();
    return { top_k: Number(most.input.value), group_by: once.input.checked ? "person" : "sighting", filter };
  };
  const rows = [cameras, notCameras, tags, attributes, since, until, most, once].map(({ row }) => row);
  return { terms, rows: make("div", { className: "filters" }, ...rows) };
}

function parts(input) {
  return input.value
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);
}

function attribute(text) {
  const [name, label, ...rest] = text.split("=").map((part) => part.trim());
  if (!name || !label || rest.length) throw new Error(S.search.badAttribute(text));
  return [name, label];
}

function drawn({ matches, searched, expected_false_matches: expected }, calibration) {
  if (matches.length === 0) return [make("p", { className: "empty" }, S.search.nothing)];
  const trust = expected === null ? S.search.uncalibrated : S.search.expected(short(expected), calibration.domain);
  const summary = make("p", { className: "summary" }, `${S.search.searched(matches.length, searched)} ${trust}`);
  return [summary, make("ol", { className: "grid" }, ...matches.map(card))];
}

function card(match) {
  const item = make("li", { className: "card" });
  const errors = errorLine();
  const said = make("p", { className: "said", role: "status", hidden: true });
  const draw = (sighting, words) => {
    const confirm = async () => {
      const changed = await assign(sighting);
      if (changed !== undefined) draw(changed, S.assign.done(changed.person_id));
    };
    const reject = async () => draw(await move(sighting, null), S.assign.rejected);
    const like = make("a", { href: `#search/sighting/${encodeURIComponent(match.sighting_id)}` }, S.search.like);
    item.replaceChildren(
      picture(match),
      make(
        "div",
        { className: "facts" },
        who(sighting.person_id),
        figures(match),
        place(match),
        make(
          "div",
          { className: "actions" },
          button(S.search.assign, confirm, errors),
          sighting.person_id === null ? null : button(S.search.reject, reject, errors),
          like,
        ),
        said,
        errors,
      ),
    );
    show(said, words);
  };
  draw(match);
  return item;
}

function figures({ score, false_match_rate: rate }) {
  return facts({ [S.search.score]: score.toFixed(3), [S.search.rate]: rate === null ? null : frequency(rate) });
}

function frequency(rate) {
  return rate * MOST_IN_WORDS < 1 ? S.search.never : S.search.oneIn(short(1 / rate));
}
