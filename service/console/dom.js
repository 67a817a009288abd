// Elements made of text and other elements. Strings become text nodes: nothing is ever parsed as HTML.
import { S } from "./strings.js";

/** An element with properties (`on…`: listeners; others that are not of the element: attributes) and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A button that is off while its action runs, and shows in `errors` what went wrong. */
export function button(text, action, errors, properties = {}) {
  const element = make("button", { type: "button", ...properties }, text);
  element.onclick = () => busy(element, action, errors);
  return element;
}

/** Run an action with `element` off; its error goes to `errors`. */
export async function busy(element, action, errors) {
  element.disabled = true;
  show(errors);
  try {
    await action();
  } catch (error) {
    show(errors, error.message);
  } finally {
    element.disabled = false;
  }
}

/** A line for errors, read out when it changes. */
export function errorLine() {
  return make("p", { className: "error", role: "alert", hidden: true });
}

/** Put text into a line, or hide it. */
export function show(line, text = "") {
  line.textContent = text;
  line.hidden = !text;
}

let fields = 0;

/** A labelled input. */
export function field(label, properties = {}, hint = null) {
  return labelled(label, make("input", properties), hint);
}

/** A labelled list to choose from: pairs of a value and the words for it. */
export function choice(label, options, hint = null) {
  const words = options.map(([value, text]) => make("option", { value }, text));
  return labelled(label, make("select", {}, ...words), hint);
}

/** A labelled box to tick. */
export function tick(label, properties = {}) {
  const found = field(label, { type: "checkbox", ...properties });
  found.row.classList.add("check");
  return found;
}

function labelled(label, input, hint) {
  const id = (input.id ||= `field-${++fields}`);
  const said = hint === null ? null : make("small", { id: `${id}-hint` }, hint);
  if (said !== null) input.setAttribute("aria-describedby", said.id);
  return { input, row: make("div", { className: "field" }, make("label", { htmlFor: id }, label), input, said) };
}

/** A form whose errors are shown in it. */
export function form(properties, submit, action, ...children) {
  const errors = errorLine();
  const element = make("form", properties, ...children, errors, make("div", { className: "actions" }, submit));
  element.onsubmit = (event) => {
    event.preventDefault();
    busy(submit, action, errors);
  };
  return element;
}

/** A list of names and what they stand for. What is null is left out; text or an element is shown. */
export function facts(named, properties = {}) {
  const rows = Object.entries(named).filter(([, value]) => value !== null);
  return make("dl", properties, ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

/** A table: words above its columns, and rows of cells, the first of each its heading. */
export function table(caption, columns, rows) {
  const head = make("tr", {}, ...columns.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map(([name, ...cells]) =>
    make("tr", {}, make("th", { scope: "row" }, name), ...cells.map((cell) => make("td", {}, cell))),
  );
  const drawn = make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body));
  return make("div", { className: "wide-table", tabIndex: 0, role: "region", "aria-label": caption }, drawn);
}

/** A dialog with a button that does something, one that does nothing, and inputs: what `act` gave, or undefined. */
export function confirm({ title, submit: words }, explanation, act, rows = [], className = "primary") {
  return dialog(title, (close) => {
    const submit = make("button", { type: "submit", className }, words);
    const lines = explanation.map((text) => make("p", {}, text));
    const asked = form({}, submit, async () => close(await act()), ...lines, ...rows);
    submit.after(make("button", { type: "button", onclick: () => close() }, S.cancel));
    return [asked];
  });
}

/** A dialog over the page. `build(close)` gives its children; the promise has what `close` was given, or undefined. */
export function dialog(title, build) {
  return new Promise((resolve) => {
    let answer;
    const element = make("dialog", { "aria-labelledby": "dialog-title" });
    const close = (value) => {
      answer = value;
      element.close();
    };
    element.append(make("h2", { id: "dialog-title" }, title), ...build(close));
    element.onclose = () => {
      element.remove();
      resolve(answer);
    };
    document.body.append(element);
    element.showModal();
  });
}
