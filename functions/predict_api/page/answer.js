// The answer as it is shown, or what there is instead of one.

import { clearBars, percent, showBars } from "./bars.js";
import { hideNumber, showRows } from "./number.js";
import { content, mark } from "./sheet.js";

const COUNTS = ["Several", "Several", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"];
const VERDICTS = {
  blank: () => "The picture is blank.",
  no_contrast: () => "Too faint to read.",
  several_digits: (found) => `${COUNTS[found.length] ?? found.length} digits: send one at a time.`,
  not_a_digit: () => "This looks like no digit.",
};
const WARNINGS = {
  touches_edge: "It touches the edge: part of it may be missing.",
  left_out: "Something was left out that may be another row.",
};

const element = (id) => document.getElementById(id);
export const panel = element("answer"); // its data-state: idle, asking, read, unsure, refused or failed

// Say what there is instead of an answer.
export function say(state, words) {
  panel.dataset.state = state;
  element("digit").textContent = state === "asking" ? "…" : "?";
  if (element("verdict").textContent !== words) element("verdict").textContent = words; // said aloud once
  hideNumber();
  clearBars();
  for (const id of ["time", "phases"]) element(id).textContent = "–";
  hideExplanation();
}

export function showPrediction({ document: prediction, headers }, since) {
  hideNumber();
  element("digit").textContent = prediction.pred;
  showBars(prediction);
  showExplanation(prediction.explain);
  showReading(prediction.pred, prediction, headers, since);
}

export function showNumber({ document: number, headers }, since) {
  showRows(number.rows);
  hideExplanation();
  showReading(inWords(number.rows), number, headers, since);
}

// The rows one after the other; where some are sure, those that are not are told.
function inWords(rows) {
  const mixed = rows.some(({ accepted }) => accepted);
  const words = rows.map(({ text, accepted }) => (mixed && !accepted ? `${text} (not sure)` : text));
  return new Intl.ListFormat("en").format(words);
}

function showReading(words, reading, headers, since) {
  panel.dataset.state = reading.accepted ? "read" : "unsure";
  element("verdict").replaceChildren(...verdictOn(words, reading));
  showModel(reading.model.version, reading.model.accuracy);
  showTimes(headers.get("server-timing") ?? "", since);
}

function verdictOn(read, { conf, accepted, warnings }) {
  const sure = document.createElement("strong");
  sure.className = accepted ? "accepted" : "doubtful";
  sure.textContent = accepted ? "Accepted." : "Not sure.";
  const share = percent(conf, 2);
  const words = accepted
    ? [`Read as ${read}, with a confidence of ${share}. `, sure]
    : [sure, ` Perhaps ${read}, with a confidence of ${share}: a person should look.`];
  return [...words, ...warnings.map((name) => ` ${WARNINGS[name] ?? name}`)];
}

export function showVerdict({ verdict, detail, boxes, explain }, more) {
  const found = boxes ?? [];
  mark(found);
  say("refused", (VERDICTS[verdict]?.(found) ?? sentence(detail)) + more);
  if (explain) showExplanation(explain);
}

// Say that the page itself is at fault, and nobody else.
export function admit(error) {
  console.error(error);
  say("failed", "The page made a mistake: reload it.");
}

export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

export function showModel(version, accuracy) {
  element("model").textContent = `${version}, ${percent(accuracy, 2)} of MNIST's test digits read rightly`;
}

function showExplanation({ image, steps }) {
  element("seen").src = image;
  element("seen").alt = "28 by 28 pixels, the ink bright on black";
  element("seen").hidden = false;
  const lines = steps.length ? steps : ["already as MNIST has it: nothing was done"];
  const items = lines.map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    item.classList.toggle("left-out", line.startsWith("left out"));
    return item;
  });
  element("steps").replaceChildren(...items);
}

function hideExplanation() {
  element("seen").hidden = true;
  element("steps").replaceChildren();
}

function showTimes(header, since) {
  const phases = [...header.matchAll(/([\w-]+);dur=([\d.]+)/g)].map(([, name, duration]) => [name, Number(duration)]);
  const timed = phases.filter(([name]) => name !== "cold");
  const total = timed.reduce((sum, [, duration]) => sum + duration, 0);
  const start = timed.length < phases.length ? "cold" : "warm";
  const parts = timed.map(([name, duration]) => `${name} ${duration.toFixed(1)}`).join(", ");
  const from = content.picture ? "from the picture" : "from the lifted pen";
  element("phases").textContent = `${total.toFixed(1)} ms, ${start} (${parts})`;
  requestAnimationFrame(() => {
    element("time").textContent = `${(performance.now() - since).toFixed(0)} ms ${from} to the answer`;
  });
}

// What the service makes of the token

export function refuseToken(words) {
  say("refused", words);
  element("access").open = true;
  element("token").setAttribute("aria-invalid", "true");
  element("token-state").textContent = "is missing or wrong";
}

export function acceptToken(words) {
  element("token").removeAttribute("aria-invalid");
  element("token-state").textContent = words;
}
