// Signing in with a key once, and out.
import { ask } from "./api.js";
import { errorLine, field, form, make, button } from "./dom.js";
import { S } from "./strings.js";

/** Who is signed in; null if nobody is, and a key is needed. */
export async function current() {
  try {
    return await ask("GET", "/v1/session");
  } catch (error) {
    if (error.status === 401) return null;
    throw error;
  }
}

/** The form that asks for a key. */
export function signIn(view, done) {
  const { input, row } = field(S.signIn.key, { type: "password", required: true, autocomplete: "off" });
  const submit = make("button", { type: "submit", className: "primary" }, S.signIn.submit);
  const enter = async () => {
    const session = await ask("POST", "/v1/session", { headers: { "X-API-Key": input.value.trim() } });
    input.value = "";
    done(session);
  };
  view.append(
    form(
      { className: "panel narrow" },
      submit,
      enter,
      make("h1", {}, S.signIn.title),
      make("p", {}, S.signIn.explain),
      row,
      make("p", { className: "quiet" }, S.signIn.make),
    ),
  );
  input.focus();
}

/** The button that signs out; null where no session needs one. */
export function signOut(session) {
  if (session.expires_at === null) return null;
  const leave = async () => {
    await ask("DELETE", "/v1/session");
    document.dispatchEvent(new Event("signed-out"));
  };
  return button(S.signIn.out, leave, errorLine());
}
