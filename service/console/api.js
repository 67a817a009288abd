// The REST interface. The session's cookie goes along by itself; no key is ever in a URL.
import { S } from "./strings.js";

/** What the service said was wrong, in its own words. */
export class ApiError extends Error {
  constructor(status, detail, code = "") {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** Ask the service. A body that is not a FormData goes as JSON; what is no JSON comes as text, nothing as null. */
export async function ask(method, path, { query = {}, body, headers = {} } = {}) {
  const given = Object.entries(query).filter(([, value]) => value);
  const url = given.length ? `${path}?${new URLSearchParams(given)}` : path;
  const options = { method, headers, cache: "no-store" };
  if (body instanceof FormData) options.body = body;
  else if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { ...headers, "Content-Type": "application/json" };
  }
  let answer;
  try {
    answer = await fetch(url, options);
  } catch {
    throw new ApiError(0, S.unreachable);
  }
  if (!answer.ok) throw await refusal(answer);
  if (answer.status === 204) return null;
  return typeOf(answer).startsWith("application/json") ? answer.json() : answer.text();
}

async function refusal(answer) {
  if (answer.status === 401) document.dispatchEvent(new Event("signed-out"));
  if (!typeOf(answer).startsWith("application/problem+json")) {
    return new ApiError(answer.status, `${answer.status} ${answer.statusText}`);
  }
  const { detail, code } = await answer.json();
  return new ApiError(answer.status, detail, code);
}

function typeOf(answer) {
  return answer.headers.get("Content-Type") ?? "";
}

/** The path of a record, whatever its id holds. */
export function path(...parts) {
  return `/v1/${parts.map(encodeURIComponent).join("/")}`;
}

/** Records of a list, page after page: `next()` gives the next page, or null after the last. */
export function pages(list, query) {
  let cursor = "";
  return {
    get done() {
      return cursor === null;
    },
    async next() {
      const page = await ask("GET", path(list), { query: { ...query, cursor } });
      cursor = page.next_cursor;
      return page[list];
    },
  };
}
