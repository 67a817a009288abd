// The query's images: dropped, pasted or picked, shown, cropped to a box, and taken away again.
// A frame that comes alone has its box asked for.
import { drawBox, isFrame } from "./box.js";
import { button, errorLine, make, show } from "./dom.js";
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

  const add = async (files) => {
    const images = [...files].filter((file) => file.type.startsWith("image/"));
    const crops = images.map(keep);
    changed();
    if (images.length === 1 && (await isFrame(images[0]))) await crops[0]();
  };
  const keep = (file) => {
    const one = { file, url: URL.createObjectURL(file) };
    const errors = errorLine();
    const image = make("img", { src: one.url, alt: S.search.queryImage(file.name), height: 128 });
    const crop = async () => {
      show(errors);
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
    return crop;
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
