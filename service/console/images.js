// The query's images: dropped, pasted or picked, shown, cropped to a box, and taken away again.
import { button, dialog, errorLine, field, form, make } from "./dom.js";
import { S } from "./strings.js";

/** A place for images: `files()` are those in it, `changed` is called after each change, `end()` lets go of them. */
export function imagePlace(changed) {
  const kept = [];
  const shelf = make("ul", { className: "shelf" });
  const input = make("input", {
    type: "file",
    id: "files",
    accept: "image/jpeg,image/png,image/webp",
    multiple: true,
    className: "offscreen",
    onchange: () => {
      add(input.files);
      input.value = "";
    },
  });
  const label = make("label", { htmlFor: "files", className: "pick" }, S.search.pick);
  const words = make("p", {}, `${S.search.drop} `, input, label);
  const place = make("div", { className: "drop" }, words, make("p", { className: "quiet" }, S.search.several), shelf);

  const add = (files) => {
    for (const file of files) if (file.type.startsWith("image/")) keep(file);
    changed();
  };
  const keep = (file) => {
    const one = { file, url: URL.createObjectURL(file) };
    const errors = errorLine();
    const image = make("img", { src: one.url, alt: S.search.queryImage(file.name), height: 128 });
    const crop = async () => {
      const boxed = await drawBox(one);
      if (boxed === undefined) return;
      URL.revokeObjectURL(one.url);
      one.file = boxed;
      image.src = one.url = URL.createObjectURL(boxed);
      changed();
    };
    const actions = [button(S.search.box, crop, errors), button(S.search.remove, drop, errors)];
    const item = make("li", {}, image, ...actions, errors);
    function drop() {
      URL.revokeObjectURL(one.url);
      kept.splice(kept.indexOf(one), 1);
      item.remove();
      changed();
    }
    kept.push(one);
    shelf.append(item);
  };

  const pasted = (event) => add(event.clipboardData.files);
  document.addEventListener("paste", pasted);
  place.ondragover = (event) => {
    event.preventDefault();
    place.classList.add("over");
  };
  place.ondragleave = () => place.classList.remove("over");
  place.ondrop = (event) => {
    event.preventDefault();
    place.classList.remove("over");
    add(event.dataTransfer.files);
  };
  const end = () => {
    document.removeEventListener("paste", pasted);
    for (const one of kept) URL.revokeObjectURL(one.url);
  };
  return { place, files: () => kept.map((one) => one.file), end };
}

const SIDES = ["left", "top", "right", "bottom"];

/** Have a box drawn on an image; the part inside as a PNG file, or undefined. */
function drawBox({ file, url }) {
  return dialog(S.box.title, (close) => {
    const canvas = make("canvas", { className: "frame" });
    const image = make("img", { src: url, alt: "" });
    const inputs = SIDES.map((side) => field(S.box.sides[side], { type: "number", min: 0, required: true }));
    const box = () => inputs.map(({ input }) => Number(input.value));
    const redraw = () => paint(canvas, image, box());
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
    drags(canvas, set);
    const submit = make("button", { type: "submit", className: "primary" }, S.box.submit);
    const use = async () => close(await cut(image, box(), file.name));
    const rows = make("div", { className: "sides" }, ...inputs.map(({ row }) => row));
    const asked = form({}, submit, use, make("p", {}, S.box.explain), canvas, rows);
    submit.after(make("button", { type: "button", onclick: () => close() }, S.cancel));
    return [asked];
  });
}

function drags(canvas, set) {
  let from = null;
  const at = (event) => {
    const shown = canvas.getBoundingClientRect();
    const x = ((event.clientX - shown.left) / shown.width) * canvas.width;
    const y = ((event.clientY - shown.top) / shown.height) * canvas.height;
    return [Math.min(Math.max(x, 0), canvas.width), Math.min(Math.max(y, 0), canvas.height)];
  };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    from = at(event);
  };
  canvas.onpointermove = (event) => {
    if (from === null) return;
    const to = at(event);
    set([Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])]);
  };
  canvas.onpointerup = () => (from = null);
}

function paint(canvas, image, [left, top, right, bottom]) {
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  pen.fillStyle = "#0009";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  const [width, height] = [right - left, bottom - top];
  if (width > 0 && height > 0) pen.drawImage(image, left, top, width, height, left, top, width, height);
}

async function cut(image, [left, top, right, bottom], name) {
  const [width, height] = [right - left, bottom - top];
  if (width <= 0 || height <= 0) throw new Error(S.box.bad);
  const canvas = make("canvas", { width, height });
  canvas.getContext("2d").drawImage(image, left, top, width, height, 0, 0, width, height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  return new File([blob], name, { type: "image/png" });
}
