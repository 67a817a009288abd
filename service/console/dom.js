// Elements made of text and other elements. Strings become text nodes: nothing is ever parsed as HTML.

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
  const id = `field-${++fields}`;
  const input = make("input", { id, ...properties });
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
