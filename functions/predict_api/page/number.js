// A number: its rows, the confidence of each digit, and the boxes of the digits on the sheet.

import { percent, showBars } from "./bars.js";
import { copies } from "./copying.js";
import { mark } from "./sheet.js";

const view = document.getElementById("number");
const text = document.getElementById("digit");
const choices = document.getElementById("digits");
const copied = document.getElementById("number-copied");

copies(document.getElementById("copy-number"), text, copied, "Copied.");

export function hideNumber() {
  view.hidden = true;
  text.classList.remove("rows");
}

export function showRows(rows) {
  const digits = rows.flatMap((row) => row.digits);
  const doubtful = digits.reduce((least, digit) => (digit.conf < least.conf ? digit : least));
  const choose = (digit) => {
    mark(digits.map(({ box }) => box), digits.indexOf(digit));
    showBars(digit);
  };
  writeOut(rows);
  choices.replaceChildren(...rows.map((row) => {
    const line = document.createElement("div");
    line.classList.toggle("unsure", !row.accepted);
    line.append(...row.digits.map((digit) => choiceOf(digit, digit === doubtful, choose)));
    return line;
  }));
  choose(doubtful);
  copied.textContent = "";
  view.hidden = false;
}

function writeOut(rows) {
  const lines = rows.map((row) => {
    const line = document.createElement("span");
    line.textContent = row.text;
    line.classList.toggle("sure", row.accepted);
    return line;
  });
  text.replaceChildren(...lines.flatMap((line, at) => (at ? ["\n", line] : [line])));
  text.classList.add("rows");
  text.style.setProperty("--longest", Math.max(...rows.map((row) => row.text.length)));
}

// A digit with its confidence; choosing it shows what else it may be, and which one it is on the sheet.
function choiceOf(digit, chosen, choose) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "place", checked: chosen });
  const share = document.createElement("small");
  share.textContent = percent(digit.conf, 0);
  input.addEventListener("change", () => choose(digit));
  label.append(input, `${digit.pred} `, share);
  return label;
}
