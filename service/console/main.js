// Which page is shown: the part of the address behind #.
import * as clips from "./clips.js";
import { errorLine, make, show } from "./dom.js";
import * as evaluations from "./evaluations.js";
import * as live from "./live.js";
import * as models from "./models.js";
import * as people from "./people.js";
import * as person from "./person.js";
import * as search from "./search.js";
import { current, signIn, signOut } from "./session.js";
import { S } from "./strings.js";
import * as unknown from "./unknown.js";

const PAGES = { search, people, person, unknown, live, clips, evaluations, models };
const BELONGS_TO = { person: "people", unknown: "people" };
const bar = document.getElementById("bar");
const view = document.getElementById("view");
let session = null;
let leave = null;

function drawBar(page) {
  const belongs = BELONGS_TO[page] ?? page;
  const links = Object.entries(S.pages).map(([name, text]) => {
    const link = make("a", { href: `#${name}` }, text);
    if (name === belongs) link.setAttribute("aria-current", "page");
    return link;
  });
  bar.replaceChildren(make("strong", {}, S.product));
  if (session === null) return;
  bar.append(make("nav", { "aria-label": S.navigation }, ...links));
  const out = signOut(session);
  if (out !== null) bar.append(out);
}

/** The page's name and what follows it; no name for an address that is not one. */
function address() {
  try {
    return (location.hash.slice(1) || "search").split("/").map(decodeURIComponent);
  } catch (error) {
    if (error instanceof URIError) return [""];
    throw error;
  }
}

function draw() {
  for (const open of document.querySelectorAll("dialog")) open.close(); // it was asked on the page before
  leave?.();
  leave = null;
  const [page, ...parts] = address();
  drawBar(page);
  view.replaceChildren();
  if (session === null) {
    signIn(view, signedIn);
    return;
  }
  const open = Object.hasOwn(PAGES, page) ? PAGES[page].open : null;
  if (open === null) view.append(make("p", { className: "empty" }, S.notFound));
  else leave = open(view, ...parts) ?? null;
  document.title = `${S.pages[page] ?? S.pages.people} · ${S.product}`;
  view.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function signedIn(who) {
  session = who;
  draw();
}

document.addEventListener("signed-out", () => {
  if (session !== null) signedIn(null);
});
addEventListener("hashchange", draw);
try {
  signedIn(await current());
} catch (error) {
  const line = errorLine();
  view.append(line);
  show(line, error.message);
}
