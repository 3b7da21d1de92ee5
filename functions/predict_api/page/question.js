// The question about what is on the sheet: asked once the pen rests, dropped when something else comes there.

import { acceptToken, panel, refuseToken, say, sentence, showNumber, showPrediction, showVerdict } from "./answer.js";
import { showCommand, showRequest } from "./command.js";
import { PREDICT, READ, post, token } from "./service.js";
import { body, content, isEmpty, stroke } from "./sheet.js";

const DEBOUNCE_MILLISECONDS = 30; // another stroke may follow
const SLOW_MILLISECONDS = 1200;
const RETRY_SECONDS = 5; // doubled each time, up to
const LONGEST_RETRY_SECONDS = 60;
const SEVERAL = "several_digits";
// What is no single digit: digits that touch may look like none, and a page of rows like lines or shadows.
const PERHAPS_SEVERAL = new Set([SEVERAL, "not_a_digit", "blank", "no_contrast"]);
const NO_READER = "urn:lambda-digits:no-reader";
const RETRIED = new Set([429, 502, 503, 504]);

let question = new AbortController(); // an answer to an earlier one is dropped
let waiting = 0;
let retrySeconds = RETRY_SECONDS;
let held = false; // while the picture to ask about is still being read

export function drop() {
  clearTimeout(waiting);
  question.abort();
  question = new AbortController();
  retrySeconds = RETRY_SECONDS;
  held = false;
}

// Hold the question while a picture is being read; return the signal that it is no longer wanted.
export function hold() {
  drop();
  held = true;
  return question.signal;
}

export function release() {
  held = false;
}

// Ask about what is on the sheet; `since` is when it came there.
export function ask(since = performance.now()) {
  drop();
  if (isEmpty()) {
    say("idle", "Nothing is drawn yet.");
    return showCommand("Draw something first.");
  }
  panel.dataset.state = "asking"; // what stands there fades until the answer comes
  waiting = setTimeout(answer, DEBOUNCE_MILLISECONDS, since, question.signal);
}

// Ask once more, where nothing has changed and nothing is under way.
export function askAgain() {
  if (!isEmpty() && !stroke && !held) ask();
}

addEventListener("online", () => {
  if (panel.dataset.state === "failed") askAgain();
});

async function answer(since, signal) {
  const blob = await body();
  if (signal.aborted) return;
  showRequest(PREDICT, blob, signal);
  if (!token) return refuseToken("Type an access token, and it is read.");
  const one = await replyTo(PREDICT, blob, signal);
  if (signal.aborted) return;
  const number = mayBeNumber(one) ? await replyTo(READ, blob, signal) : null;
  if (signal.aborted) return;
  const { text = "", type, detail } = number?.document ?? {};
  const several = one.document?.verdict === SEVERAL || text.replaceAll("\n", "").length > 1;
  if (!several) return show(one, "probabilities", showPrediction, since);
  showRequest(READ, blob, signal);
  if (type === NO_READER) showProblem(one, ` ${sentence(detail)}`);
  else show(number, "text", showNumber, since);
}

// Whether what was read as one digit, or not at all, may be a number: the digit of a file may be one of a page.
function mayBeNumber({ document: one }) {
  return PERHAPS_SEVERAL.has(one?.verdict) || Boolean(one?.probabilities && content.picture?.isFile);
}

function replyTo(address, blob, signal) {
  const slow = setTimeout(say, SLOW_MILLISECONDS, "asking", "Still waiting: a first request starts the service.");
  return post(address, blob, signal).finally(() => clearTimeout(slow));
}

// Show an answer, which has a certain member.
function show(reply, member, showAnswer, since) {
  if (reply.unreachable) retry(reply.unreachable);
  else if (!reply.ok) showProblem(reply);
  else if (!reply.document?.[member]) retry("Something else than the service answered.");
  else {
    acceptToken("is accepted");
    showAnswer(reply, since);
  }
}

function showProblem({ document: problem, status, headers }, more = "") {
  if (status === 401) return refuseToken("That token is not valid.");
  if (problem?.verdict) {
    acceptToken("is accepted");
    return showVerdict(problem, more);
  }
  const detail = sentence(problem?.detail ?? problem?.message ?? `The service answered with status ${status}`);
  if (RETRIED.has(status)) retry(detail, Number(headers.get("retry-after")));
  else say("refused", detail);
}

// Say what is wrong and ask again, ever less often, and not while nobody looks.
function retry(words, leastSeconds = 0) {
  const { signal } = question;
  const again = () => {
    if (document.hidden) waiting = setTimeout(again, RETRY_SECONDS * 1000);
    else answer(performance.now(), signal);
  };
  say("failed", `${words} It is asked again by itself.`);
  waiting = setTimeout(again, Math.max(retrySeconds, leastSeconds) * 1000);
  retrySeconds = Math.min(2 * retrySeconds, LONGEST_RETRY_SECONDS);
}
