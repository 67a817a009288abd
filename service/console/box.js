// A box around one person of a frame: drawn, typed, or found by the service's detector.
import { ask } from "./api.js";
import { dialog, field, form, make, show } from "./dom.js";
import { S } from "./strings.js";

const CLICK_PX = 4; // a pointer that moves less only clicks
let detects = true; // until the service says that it has no detector

const SIDES = ["left", "top", "right", "bottom"];

/** Whether an image is rather a frame than a crop of a person: wider than tall. */
export async function isFrame(file) {
  const image = await createImageBitmap(file).catch(() => null); // what is no image is refused by the search
  return image !== null && image.width > image.height;
}

/** Have a box drawn on an image, or one that the detector found chosen; the part inside as a PNG file, or undefined. */
export function drawBox({ file, url }) {
  return dialog(S.box.title, (close) => {
    const canvas = make("canvas", { className: "frame" });
    const image = make("img", { src: url, alt: "" });
    const inputs = SIDES.map((side) => field(S.box.sides[side], { type: "number", min: 0, required: true }));
    const box = () => inputs.map(({ input }) => Number(input.value));
    const found = [];
    const redraw = () => paint(canvas, image, box(), found);
    const set = (values) => {
      inputs.forEach(({ input }, index) => (input.value = Math.round(values[index])));
      redraw();
    };
    image.onload = () => {
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      set([0, 0, canvas.width, canvas.height]);
    };
    for (const { input } of inputs) input.oninput = redraw;
    const pick = (point) => {
      const hit = found.find((one) => isInside(point, one));
      if (hit !== undefined) set(hit);
    };
    drags(canvas, set, pick);
    const submit = make("button", { type: "submit", className: "primary" }, S.box.submit);
    const use = async () => close(await cut(image, box(), file.name));
    const rows = make("div", { className: "sides" }, ...inputs.map(({ row }) => row));
    const offer = (boxes) => {
      found.push(...boxes);
      redraw();
    };
    const people = offered(file, offer, set);
    const asked = form({}, submit, use, make("p", {}, S.box.explain), canvas, people, rows);
    submit.after(make("button", { type: "button", onclick: () => close() }, S.cancel));
    return [asked];
  });
}

/** Have `set` called with each box that is dragged, and `pick` with a point that is only clicked. */
function drags(canvas, set, pick) {
  let from = null;
  let moved = false;
  const at = (event) => {
    const shown = canvas.getBoundingClientRect();
    const x = ((event.clientX - shown.left) / shown.width) * canvas.width;
    const y = ((event.clientY - shown.top) / shown.height) * canvas.height;
    return [Math.min(Math.max(x, 0), canvas.width), Math.min(Math.max(y, 0), canvas.height)];
  };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    from = event;
    moved = false;
  };
  canvas.onpointermove = (event) => {
    if (from === null) return;
    moved ||= Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) >= CLICK_PX;
    if (!moved) return;
    const [[x0, y0], [x1, y1]] = [at(from), at(event)];
    set([Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)]);
  };
  canvas.onpointerup = (event) => {
    if (from !== null && !moved) pick(at(event));
    from = null;
  };
}

function isInside([x, y], [left, top, right, bottom]) {
  return x >= left && x <= right && y >= top && y <= bottom;
}

function paint(canvas, image, [left, top, right, bottom], found) {
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  pen.fillStyle = "#0009";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  const [width, height] = [right - left, bottom - top];
  if (width > 0 && height > 0) pen.drawImage(image, left, top, width, height, left, top, width, height);
  pen.lineWidth = Math.max(1, canvas.width / 300);
  pen.strokeStyle = "#8ab4ff";
  for (const [x, y, far, low] of found) pen.strokeRect(x, y, far - x, low - y);
}

async function cut(image, [left, top, right, bottom], name) {
  const [width, height] = [right - left, bottom - top];
  if (width <= 0 || height <= 0) throw new Error(S.box.bad);
  const canvas = make("canvas", { width, height });
  canvas.getContext("2d").drawImage(image, left, top, width, height, 0, 0, width, height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  return new File([blob], name, { type: "image/png" });
}

/** Whom the detector finds, the surest first: their boxes to `offer`, a button each; nothing without a detector. */
function offered(file, offer, set) {
  const place = make("div", { className: "actions offered", role: "status", hidden: !detects }, S.box.looking);
  const body = new FormData();
  body.append("file", file);
  const answered = ({ frames: [{ people }] }) => {
    offer(people.map((one) => one.box_xyxy));
    place.replaceChildren(people.length ? S.box.found(people.length) : S.box.nobody);
    people.forEach(({ box_xyxy: box, score }, index) => {
      place.append(make("button", { type: "button", onclick: () => set(box) }, S.box.person(index + 1, score)));
    });
  };
  const without = (error) => {
    if (error.code !== "no_detector") return show(place, error.message);
    detects = false;
    place.hidden = true;
  };
  if (detects) ask("POST", "/v1/detections", { body }).then(answered, without);
  return place;
}
