// Two bundles side by side: the figures that each brought, and those measured on this gallery.
import { choice, make, table } from "./dom.js";
import { S, figure } from "./strings.js";

const COMPARED = ["domain", "protocol"]; // what must be the same where figures are to be compared

/** A section that compares two of `models`: at first the one in force with another of its kind, if there is one. */
export function comparison(models, evaluations) {
  const options = models.map(({ bundle_id, name }) => [bundle_id, `${name} · ${bundle_id.slice(0, 8)}`]);
  const sides = [choice(S.compare.one, options), choice(S.compare.other, options)];
  const place = make("div", { "aria-live": "polite" });
  const draw = () => {
    const [one, other] = sides.map(({ input }) => models.find(({ bundle_id }) => bundle_id === input.value));
    place.replaceChildren(...compared(one, other, evaluations));
  };
  const second = models.slice(1).find(({ kind }) => kind === models[0].kind) ?? models[0];
  sides[1].input.value = second.bundle_id;
  for (const { input } of sides) input.onchange = draw;
  draw();
  const line = make("div", { className: "line" }, ...sides.map(({ row }) => row));
  return make("section", {}, make("h2", {}, S.compare.title), line, place);
}

function compared(one, other, evaluations) {
  if (one === other) return [make("p", { className: "empty" }, S.compare.same)];
  const brought = side(S.compare.brought, one.metrics, other.metrics, one, other);
  if ([one, other].some((model) => model.embedding_size === null)) return [brought]; // evaluations are of embeddings
  const here = [one, other].map((model) => latest(model, evaluations));
  const none = make("p", { className: "quiet" }, S.compare.notHere);
  return [brought, here.every(Boolean) ? side(S.compare.here, ...here, one, other) : none];
}

/** What the latest evaluation by a bundle found, or undefined. */
function latest(model, evaluations) {
  return evaluations.find(({ result }) => result?.bundle_id === model.bundle_id)?.result;
}

function side(caption, first, second, one, other) {
  const names = Object.keys(S.models.figures).filter((name) => name in first || name in second);
  const rows = names.map((name) => {
    const [a, b] = [first[name], second[name]];
    const difference = isShare(name) && a !== undefined && b !== undefined ? figure(b - a) : "";
    return [S.models.figures[name], figure(a), figure(b), difference];
  });
  const drawn = table(caption, [S.compare.figure, one.name, other.name, S.compare.difference], rows);
  const measures = COMPARED.every((name) => first[name] === second[name]);
  return make("div", {}, drawn, measures ? "" : make("p", { className: "quiet" }, S.compare.apart));
}

/** Whether a figure is no count and no words: the difference of two counts says nothing. */
function isShare(name) {
  return !COMPARED.includes(name) && !name.startsWith("num_");
}
