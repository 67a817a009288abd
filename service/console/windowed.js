// A long list of which only what is near the window is in the page, however long it gets.
import { make } from "./dom.js";

const SPARE_ROWS = 4;
const SETTLED_MS = 150;

/**
 * A grid over `records` (pages of an API's list), read on as its end comes near. Rows must all be as high as the first.
 *
 * `entry` makes an element of a record; `settled` is called with a record and its element once it stays in sight;
 * `failed` with what went wrong. `load()` reads a page, `end()` lets go.
 */
export function windowed(records, { entry, settled, failed, className }) {
  const kept = [];
  const shown = new Map();
  const list = make("ul", { className: `grid windowed ${className}` });
  let loading = null;
  let timer = 0;

  const read = async () => {
    kept.push(...(await records.next()));
    loading = null;
    draw();
  };
  const load = () => {
    loading ??= read().catch((error) => {
      loading = null;
      failed(error);
    });
    return loading;
  };
  function draw() {
    const [columns, row] = measure(list);
    const top = -list.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / row) - SPARE_ROWS) * columns;
    const last = Math.min(kept.length, (Math.ceil((top + innerHeight) / row) + SPARE_ROWS) * columns);
    fill(Math.min(first, last), last);
    list.style.paddingTop = `${Math.floor(Math.min(first, last) / columns) * row}px`;
    list.style.paddingBottom = `${Math.ceil((kept.length - last) / columns) * row}px`;
    if (last === kept.length && !records.done) load();
    clearTimeout(timer);
    timer = setTimeout(() => shown.forEach((element, index) => settled(kept[index], element)), SETTLED_MS);
  }
  function fill(first, last) {
    for (const [index, element] of shown) {
      if (index >= first && index < last) continue;
      element.remove();
      shown.delete(index);
    }
    let next = list.firstChild;
    for (let index = first; index < last; index++) {
      const known = shown.get(index);
      if (known !== undefined) {
        next = known.nextSibling;
        continue;
      }
      const element = entry(kept[index]);
      element.ariaPosInSet = index + 1;
      shown.set(index, element);
      list.insertBefore(element, next);
    }
    for (const element of shown.values()) element.ariaSetSize = records.done ? kept.length : -1;
  }
  const moved = () => requestAnimationFrame(draw);
  addEventListener("scroll", moved, { passive: true });
  addEventListener("resize", moved);
  const end = () => {
    removeEventListener("scroll", moved);
    removeEventListener("resize", moved);
    clearTimeout(timer);
  };
  return { list, load, end, isEmpty: () => kept.length === 0 };
}

/** How many columns a grid has, and how many pixels from one row to the next (at first: a guess). */
function measure(list) {
  const style = getComputedStyle(list);
  const height = list.firstElementChild?.offsetHeight ?? 150;
  return [style.gridTemplateColumns.split(" ").length, height + parseFloat(style.rowGap)];
}
