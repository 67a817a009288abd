// Scores over the time of a clip: a line for each label, and where the player is. The table beside it says the same.
import { make } from "./dom.js";
import { S, clock, percent } from "./strings.js";

const WIDTH = 1000;
const HEIGHT = 200;

/** A chart of those labels of an answer of POST /v1/actions. `at(seconds)` moves its mark; a click asks to `seek`. */
export function chart({ windows, num_frames: frames, fps }, labels, seek) {
  const duration = Math.max(fps ? frames / fps : 0, windows.at(-1).end_s) || 1;
  const x = (seconds) => (Math.min(seconds / duration, 1) * WIDTH).toFixed(1);
  const rulers = [0, 0.5, 1].map((score) => line("ruler", 0, y(score), WIDTH, y(score)));
  const lines = labels.map((label, index) => {
    const points = windows.flatMap(({ start_s, end_s, labels: scores }) => {
      const { score } = scores.find((one) => one.label === label);
      return [`${x(start_s)},${y(score)}`, `${x(end_s)},${y(score)}`];
    });
    return shape("polyline", { class: `score score-${index}`, points: points.join(" ") });
  });
  const mark = line("mark", 0, 0, 0, HEIGHT);
  const said = S.clips.chart(labels, clock(duration));
  const size = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": said };
  const drawing = shape("svg", size, ...rulers, ...lines, mark);
  const at = (seconds) => {
    for (const end of ["x1", "x2"]) mark.setAttribute(end, x(seconds));
  };
  drawing.onclick = (event) => {
    const shown = drawing.getBoundingClientRect();
    seek(((event.clientX - shown.left) / shown.width) * duration);
  };
  const ends = make("div", { className: "ends quiet" }, make("span", {}, clock(0)), make("span", {}, clock(duration)));
  const marks = [1, 0.5, 0].map((score) => make("span", {}, percent(score)));
  const scale = make("div", { className: "scale quiet", ariaHidden: "true" }, ...marks);
  const element = make("figure", { className: "chart" }, legend(labels), scale, drawing, ends);
  return { element, at };
}

function y(score) {
  return ((1 - score) * HEIGHT).toFixed(1);
}

function legend(labels) {
  const entries = labels.map((label, index) => {
    const sample = shape("svg", { class: "sample", viewBox: "0 0 30 4", "aria-hidden": "true" });
    sample.append(shape("line", { class: `score score-${index}`, x1: 0, y1: 2, x2: 30, y2: 2 }));
    return make("span", {}, sample, label);
  });
  return make("figcaption", { className: "legend" }, ...entries);
}

function line(name, x1, y1, x2, y2) {
  return shape("line", { class: name, x1, y1, x2, y2 });
}

function shape(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
