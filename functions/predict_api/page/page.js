// Draw or choose a digit, ask the API, show its answer. No framework, no build step.

import { acceptToken, admit, refuseToken, sentence, showModel } from "./answer.js";
import "./drawing.js";
import "./pictures.js";
import { askAgain } from "./question.js";
import { describeModel, keepToken, restoreToken, token } from "./service.js";
import { repaint, sheet } from "./sheet.js";

const access = document.getElementById("access");
const field = document.getElementById("token");
const model = document.getElementById("model");

field.form.addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = field.value.trim();
  if (!/^[\x21-\x7e]+$/.test(typed)) return refuseToken("That is no token: it has letters, digits and signs alone.");
  keepToken(typed);
  acceptToken("");
  access.open = false; // here and not with the answer, which would move the sheet under the pen
  sheet.focus();
  askAgain();
});

async function greet() {
  restoreToken();
  field.value = token;
  access.open = !token;
  repaint();
  const { ok, document: found, unreachable } = await describeModel();
  if (ok && found) showModel(found.version, found.accuracy);
  else model.textContent = unreachable ?? sentence(found?.detail ?? "It is not known which one is live.");
}

// Mistakes that nobody caught; those of an extension in the page are not its own.
const FOREIGN = /-extension:\/\//;

for (const name of ["error", "unhandledrejection"]) {
  addEventListener(name, (event) => {
    const error = event.error ?? event.reason;
    if (FOREIGN.test(error?.stack)) return;
    event.preventDefault(); // it is told on the console already
    admit(error);
  });
}

greet();
