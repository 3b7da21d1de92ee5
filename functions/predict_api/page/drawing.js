// Drawing: with mouse, finger, pen or keyboard. Each change of the sheet asks about it, and can be undone.

import { say } from "./answer.js";
import { ask, drop } from "./question.js";
import {
  EMPTY,
  SIDE,
  content,
  cursor,
  paintStroke,
  placeCursor,
  put,
  repaint,
  sheet,
  startStroke,
  stroke,
} from "./sheet.js";

const STEP = 14; // of the pen that the arrow keys move: one of the network's pixels
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const past = []; // what was on the sheet before each change

export function change(next, since) {
  past.push(content);
  replace(next, since);
}

function replace(next, since) {
  put(next);
  ask(since);
}

function undo() {
  if (stroke) replace(content);
  else if (past.length) replace(past.pop());
}

function clear() {
  if (content === EMPTY) replace(EMPTY);
  else change(EMPTY);
}

function begin(pointer, point) {
  if (content.picture) change(EMPTY); // a new sheet; undo brings the picture back
  drop();
  startStroke({ pointer, points: [point], width: Number(document.getElementById("width").value) });
}

function end() {
  const { points, width } = stroke;
  change({ ...content, strokes: [...content.strokes, { points, width }] });
}

document.getElementById("undo").addEventListener("click", undo);
document.getElementById("clear").addEventListener("click", clear);

// Mouse, finger and pen; while one draws, a second finger does not

function pointOf(event) {
  const frame = sheet.getBoundingClientRect();
  const scale = SIDE / sheet.clientWidth;
  const pressed = event.pointerType === "pen" && event.pressure > 0;
  return {
    x: (event.clientX - frame.left - sheet.clientLeft) * scale,
    y: (event.clientY - frame.top - sheet.clientTop) * scale,
    pressure: pressed ? 0.3 + 1.4 * event.pressure : 1,
  };
}

const draws = (event) => stroke !== null && stroke.pointer === event.pointerId;

sheet.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || event.ctrlKey || (stroke && stroke.pointer !== null)) return;
  if (stroke) end();
  placeCursor(null);
  sheet.setPointerCapture(event.pointerId);
  begin(event.pointerId, pointOf(event));
});

sheet.addEventListener("pointermove", (event) => {
  if (!draws(event)) return;
  if (event.buttons === 0) return end(); // it was lifted where nobody saw
  const events = event.getCoalescedEvents?.() ?? [];
  const from = stroke.points.length;
  stroke.points.push(...(events.length ? events : [event]).map(pointOf));
  paintStroke(stroke, from);
});

for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
  sheet.addEventListener(name, (event) => {
    if (draws(event)) end();
  });
}

// Keyboard

sheet.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || (stroke && stroke.pointer !== null)) return;
  if (MOVES[event.key]) moveCursor(...MOVES[event.key]);
  else if (event.key === " " || event.key === "Enter") {
    if (!event.repeat) switchPen();
  } else if (event.key === "Delete" || event.key === "Backspace") clear();
  else return;
  event.preventDefault();
});

const cursorOrMiddle = () => cursor ?? { x: SIDE / 2, y: SIDE / 2 };

function moveCursor(right, down) {
  const within = (value) => Math.min(SIDE - STEP, Math.max(STEP, value));
  const { x, y } = cursorOrMiddle();
  placeCursor({ x: within(x + right * STEP), y: within(y + down * STEP) });
  if (stroke) stroke.points.push({ ...cursor, pressure: 1 });
  repaint();
}

function switchPen() {
  if (stroke) return end();
  placeCursor(cursorOrMiddle());
  begin(null, { ...cursor, pressure: 1 });
  say("asking", "The pen is down.");
}

document.addEventListener("keydown", (event) => {
  const undoes = event.key?.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
  if (!undoes || event.target === document.getElementById("token")) return;
  event.preventDefault();
  undo();
});

sheet.addEventListener("focus", repaint);
sheet.addEventListener("blur", () => {
  if (stroke && stroke.pointer === null) end();
  else repaint();
});
