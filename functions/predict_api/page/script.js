// Draw or choose a digit, ask the API, show its answer. No framework, no build step.

const DEBOUNCE_MILLISECONDS = 30;
const SLOW_MILLISECONDS = 1200;
const RETRY_SECONDS = 5;
const STEP = 14; // of the pen that the arrow keys move: half a pixel of the network's, on either side
const SENT_AS_IT_IS_BYTES = 1_000_000; // what is larger is scaled down: a request has at most 4.5 MB
const LONGEST_SIDE = 1600;
const MOST_SIDE = 4000;
const SERVED_TYPES = /^image\/(png|jpeg|gif|bmp|webp|tiff)$/;
const SAMPLE_SIDE = 28;
const INLINE_BYTES = 40_000; // what a shell takes in one argument, with room to spare
const PAPER = "#fff";
const INK = "#14130f";
const MARK = "#c2261a";

const VERDICTS = {
  blank: () => "There is nothing on it.",
  no_contrast: () => "Too faint to read: it needs more contrast.",
  several_digits: (boxes) => `${COUNTS[boxes.length] ?? boxes.length} digits found: send one at a time.`,
};
const COUNTS = ["Several", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"];
const WARNINGS = { touches_edge: "It touches the edge: part of it may be missing." };

const element = (id) => document.getElementById(id);
const sheet = element("sheet");
const context = sheet.getContext("2d", { alpha: false });
const SIDE = sheet.width;

// What is on the sheet: strokes of the pen, or one picture. `past` holds what was there before each change.
const EMPTY = { strokes: [], picture: null };
let content = EMPTY;
let past = [];
let stroke = null; // the one being drawn
let cursor = null; // of the keyboard's pen
let boxes = []; // of the digits that were found, where there are several

// What is being asked; an answer to an earlier question is dropped.
let question = new AbortController();
let waiting = 0;

// The sheet

function paint() {
  context.fillStyle = PAPER;
  context.fillRect(0, 0, SIDE, SIDE);
  if (content.picture) paintPicture(content.picture);
  content.strokes.forEach(paintStroke);
  if (stroke) paintStroke(stroke);
}

function paintMarks() {
  context.strokeStyle = MARK;
  context.lineWidth = 2;
  for (const [left, top, width, height] of boxes) context.strokeRect(left, top, width, height);
  if (cursor && document.activeElement === sheet) {
    context.beginPath();
    context.arc(cursor.x, cursor.y, 9, 0, 7);
    context.stroke();
  }
}

function repaint() {
  paint();
  paintMarks();
}

function paintStroke({ points, width }) {
  context.strokeStyle = context.fillStyle = INK;
  context.lineCap = context.lineJoin = "round";
  points.forEach((point, index) => {
    const before = points[index - 1] ?? point;
    context.lineWidth = width * point.pressure;
    context.beginPath();
    context.moveTo(before.x, before.y);
    context.lineTo(point.x, point.y);
    context.stroke();
  });
}

function paintPicture(picture) {
  const { left, top, scale } = place(picture);
  context.imageSmoothingEnabled = scale < 3;
  context.drawImage(picture.image, left, top, picture.image.width * scale, picture.image.height * scale);
}

function place({ image }) {
  const scale = Math.min(SIDE / image.width, SIDE / image.height);
  return { left: (SIDE - image.width * scale) / 2, top: (SIDE - image.height * scale) / 2, scale };
}

// Changes, each of which can be undone

function change(next) {
  past.push(content);
  put(next);
}

function put(next) {
  content = next;
  boxes = [];
  repaint();
  ask(DEBOUNCE_MILLISECONDS);
}

function undo() {
  if (stroke) end();
  if (past.length) put(past.pop());
}

function clear() {
  if (content !== EMPTY) change(EMPTY);
}

function begin(point) {
  drop();
  const width = Number(element("width").value);
  if (content.picture) change(EMPTY); // a new sheet; undo brings the picture back
  boxes = [];
  stroke = { points: [point], width };
  repaint();
}

function extend(point) {
  stroke.points.push(point);
  repaint();
}

function end() {
  const finished = stroke;
  stroke = null;
  change({ ...content, strokes: [...content.strokes, finished] });
}

// Mouse, finger and pen

function pointOf(event) {
  const frame = sheet.getBoundingClientRect();
  const border = sheet.clientLeft;
  const scale = SIDE / sheet.clientWidth;
  const pressed = event.pointerType === "pen" && event.pressure > 0;
  return {
    x: (event.clientX - frame.left - border) * scale,
    y: (event.clientY - frame.top - border) * scale,
    pressure: pressed ? 0.3 + 1.4 * event.pressure : 1,
  };
}

let pointer = null; // a second finger draws nothing

sheet.addEventListener("pointerdown", (event) => {
  if (pointer !== null || event.button !== 0) return;
  pointer = event.pointerId;
  sheet.setPointerCapture(pointer);
  if (stroke) end();
  cursor = null;
  begin(pointOf(event));
});

sheet.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer) return;
  const events = event.getCoalescedEvents?.() ?? [];
  for (const each of events.length ? events : [event]) extend(pointOf(each));
});

for (const name of ["pointerup", "pointercancel"]) {
  sheet.addEventListener(name, (event) => {
    if (event.pointerId !== pointer) return;
    pointer = null;
    end();
  });
}

// Keyboard

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

sheet.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || pointer !== null) return;
  if (MOVES[event.key]) moveCursor(...MOVES[event.key]);
  else if (event.key === " " || event.key === "Enter") switchPen();
  else if (event.key === "Delete" || event.key === "Backspace") clear();
  else return;
  event.preventDefault();
});

function moveCursor(right, down) {
  const within = (value) => Math.min(SIDE - STEP, Math.max(STEP, value));
  cursor ??= { x: SIDE / 2, y: SIDE / 2 };
  cursor = { x: within(cursor.x + right * STEP), y: within(cursor.y + down * STEP) };
  if (stroke) extend({ ...cursor, pressure: 1 });
  else repaint();
}

function switchPen() {
  cursor ??= { x: SIDE / 2, y: SIDE / 2 };
  if (stroke) {
    end();
  } else {
    begin({ ...cursor, pressure: 1 });
    say("asking", "The pen is down.");
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "z" || event.shiftKey || !(event.ctrlKey || event.metaKey)) return;
  if (event.target.id === "token") return;
  event.preventDefault();
  undo();
});

sheet.addEventListener("focus", repaint);
sheet.addEventListener("blur", () => {
  if (stroke && pointer === null) end();
  else repaint();
});
element("undo").addEventListener("click", undo);
element("clear").addEventListener("click", clear);

// Pictures: chosen, photographed, dropped or pasted

element("choose").addEventListener("click", () => element("file").click());
element("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) show(file);
});

document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (!file) return;
  event.preventDefault();
  show(file);
});

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) show(file);
});

async function show(file) {
  drop();
  const mine = question;
  const picture = await pictureOf(file);
  if (mine !== question) return; // something else has been drawn or chosen meanwhile
  if (picture) change({ strokes: [], picture });
  else say("failed", `This browser cannot read ${file.name || "that"} as a picture.`);
}

// A picture as it is shown, as it is sent, and how a box in what is sent comes onto what is shown.
async function pictureOf(file) {
  const image = await createImageBitmap(file).catch(() => null);
  if (!image) return null;
  const longest = Math.max(image.width, image.height);
  const served = SERVED_TYPES.test(file.type) && file.size <= SENT_AS_IT_IS_BYTES && longest <= MOST_SIDE;
  const blob = served ? file : await scaledDown(image, Math.min(1, LONGEST_SIDE / longest));
  const shrunk = served ? 1 : Math.min(1, LONGEST_SIDE / longest);
  return { image, blob, shrunk, name: file.name || "picture" };
}

function scaledDown(image, scale) {
  const canvas = new OffscreenCanvas(Math.max(1, image.width * scale), Math.max(1, image.height * scale));
  const drawing = canvas.getContext("2d");
  drawing.fillStyle = PAPER; // JPEG has no transparency
  drawing.fillRect(0, 0, canvas.width, canvas.height);
  drawing.imageSmoothingQuality = "high";
  drawing.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
}

// Samples: digits of MNIST side by side in one picture

const samples = fetch("page/samples.png").then((answer) => answer.blob()).then((blob) => createImageBitmap(blob));
let sample = -1;

async function showSample(step) {
  drop();
  const mine = question;
  const sprite = await samples.catch(() => null);
  if (mine !== question) return;
  if (!sprite) return say("failed", "The samples could not be loaded. Load the page again.");
  const count = sprite.width / SAMPLE_SIDE;
  sample = sample < 0 && step < 0 ? count - 1 : (sample + step + count) % count;
  const image = new OffscreenCanvas(SAMPLE_SIDE, SAMPLE_SIDE);
  const drawing = image.getContext("2d");
  drawing.drawImage(sprite, -sample * SAMPLE_SIDE, 0);
  const colours = drawing.getImageData(0, 0, SAMPLE_SIDE, SAMPLE_SIDE).data;
  const pixels = Array.from({ length: SAMPLE_SIDE ** 2 }, (_, at) => colours[4 * at]);
  const blob = new Blob([JSON.stringify({ pixels })], { type: "application/json" });
  change({ strokes: [], picture: { image, blob, shrunk: 1, name: "sample" } });
}

element("previous").addEventListener("click", () => showSample(-1));
element("next").addEventListener("click", () => showSample(1));

// Asking

const isEmpty = () => !content.picture && !content.strokes.length;

function drop() {
  clearTimeout(waiting);
  question.abort();
  question = new AbortController();
}

function ask(milliseconds) {
  drop();
  if (isEmpty()) return say("idle", "Nothing is drawn yet.");
  element("answer").dataset.state = "asking"; // what stood there fades until the answer comes
  waiting = setTimeout(answer, milliseconds, performance.now(), question);
}

async function answer(since, mine) {
  const blob = await body();
  if (mine !== question) return;
  showRequest(blob);
  const token = sessionStorage.getItem("token");
  if (!token) return refuseToken("Type an access token, and it is read.");
  const slow = setTimeout(() => say("asking", "Waking up: a first request starts the service."), SLOW_MILLISECONDS);
  try {
    const response = await fetch("v1/predict?explain=1", {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": blob.type },
      body: blob,
      signal: mine.signal,
    });
    const reply = await response.json().catch(() => ({}));
    if (mine !== question) return;
    if (response.ok) showPrediction(reply, response.headers, since);
    else showProblem(reply, response);
  } catch {
    if (mine === question) unreachable();
  } finally {
    clearTimeout(slow);
  }
}

function body() {
  if (content.picture) return content.picture.blob;
  paint(); // without the marks
  const blob = new Promise((resolve) => sheet.toBlob(resolve, "image/png"));
  paintMarks();
  return blob;
}

function again(seconds) {
  const mine = question;
  waiting = setTimeout(() => answer(performance.now(), mine), seconds * 1000);
}

function unreachable() {
  const why = navigator.onLine ? "The service cannot be reached" : "This device is offline";
  say("failed", `${why}. It is asked again every ${RETRY_SECONDS} seconds.`);
  again(RETRY_SECONDS);
}

addEventListener("online", () => {
  if (!isEmpty() && element("answer").dataset.state === "failed") ask(0);
});

// Answers

// Say what there is instead of an answer.
function say(state, text) {
  element("answer").dataset.state = state;
  element("digit").textContent = state === "asking" ? "…" : "?";
  element("verdict").textContent = text;
  for (const bar of bars) fill(bar, null, false);
  for (const id of ["time", "phases"]) element(id).textContent = "–";
  element("seen").hidden = true;
  element("steps").replaceChildren();
}

function showPrediction(prediction, headers, since) {
  element("answer").dataset.state = "read";
  acceptToken("is accepted");
  element("access").open = false;
  element("digit").textContent = prediction.pred;
  const accepted = document.createElement("span");
  accepted.className = prediction.accepted ? "accepted" : "doubtful";
  accepted.textContent = prediction.accepted ? "Accepted." : "Not sure enough: a person should look.";
  const warnings = prediction.warnings.map((name) => ` ${WARNINGS[name] ?? name}`);
  const read = `It is a ${prediction.pred}, with a confidence of ${percent(prediction.conf, 2)}. `;
  element("verdict").replaceChildren(read, accepted, ...warnings);
  bars.forEach((bar, digit) => fill(bar, prediction.probabilities[digit], digit === prediction.pred));
  showModel(prediction.model.version, prediction.model.accuracy);
  showExplanation(prediction.explain);
  showTimes(headers.get("server-timing") ?? "", since);
}

function showProblem(problem, response) {
  const detail = problem.detail ?? problem.message ?? `The service answered ${response.status}.`;
  if (response.status === 401) return refuseToken("That token is not valid.");
  if (response.status === 422 && problem.verdict) return showVerdict(problem);
  if (response.status !== 429 && response.status < 500) return say("refused", sentence(detail));
  const seconds = Number(response.headers.get("retry-after")) || RETRY_SECONDS;
  say("failed", `${sentence(detail)} It is asked again in ${seconds} seconds.`);
  again(seconds);
}

function showVerdict({ verdict, detail, boxes: found = [] }) {
  const picture = content.picture;
  const { left, top, scale } = picture ? place(picture) : { left: 0, top: 0, scale: 1 };
  const ratio = scale / (picture?.shrunk ?? 1);
  boxes = found.map(([x, y, width, height]) => [left + x * ratio, top + y * ratio, width * ratio, height * ratio]);
  repaint();
  say("refused", VERDICTS[verdict]?.(boxes) ?? sentence(detail));
}

function refuseToken(text) {
  say("refused", text);
  element("access").open = true;
  element("token").setAttribute("aria-invalid", "true");
  element("token-state").textContent = "is missing or wrong";
}

function acceptToken(text) {
  element("token").removeAttribute("aria-invalid");
  element("token-state").textContent = text;
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

// Rounded down: a confidence of 99.999 % is not one of 100 %.
function percent(share, digits) {
  const factor = 10 ** digits;
  return `${(Math.floor(share * 100 * factor) / factor).toFixed(digits)} %`;
}

const bars = Array.from({ length: 10 }, (_, digit) => {
  const row = document.createElement("li");
  const [name, bar, share] = ["name", "bar", "share"].map((kind) => {
    const part = document.createElement("span");
    part.className = kind;
    row.append(part);
    return part;
  });
  name.textContent = digit;
  bar.append(document.createElement("span"));
  share.textContent = "–";
  element("bars").append(row);
  return row;
});

function fill(bar, share, most) {
  bar.classList.toggle("most", most);
  bar.querySelector(".bar span").style.width = `${(share ?? 0) * 100}%`;
  bar.querySelector(".share").textContent = share === null ? "–" : percent(share, 1);
}

function showModel(version, accuracy) {
  element("model").textContent = `${version}, ${percent(accuracy, 2)} of MNIST's test digits read rightly`;
}

function showExplanation({ image, steps }) {
  element("seen").src = image;
  element("seen").alt = "28 by 28 pixels, the digit bright on black";
  element("seen").hidden = false;
  const lines = steps.length ? steps : ["already as MNIST has it: nothing was done"];
  element("steps").replaceChildren(...lines.map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  }));
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

// The request

async function showRequest(blob) {
  const lines = [`curl -s '${new URL("v1/predict?explain=1", document.baseURI)}' -H "Authorization: Bearer $TOKEN"`];
  if (blob.size > INLINE_BYTES) {
    lines.push(`-H 'Content-Type: ${blob.type}' --data-binary @'${content.picture.name.replaceAll("'", "")}'`);
  } else {
    const isDocument = blob.type === "application/json";
    lines.push(`-H 'Content-Type: application/json' -d '${isDocument ? await blob.text() : await imageDocument(blob)}'`);
  }
  const command = lines.join(" \\\n  ");
  element("request").textContent = command;
  element("copy").disabled = false;
  element("copied").textContent = "";
}

async function imageDocument(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return JSON.stringify({ image: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")) });
}

element("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(element("request").textContent);
    element("copied").textContent = "Copied. Put your token into TOKEN.";
  } catch {
    getSelection().selectAllChildren(element("request"));
    element("copied").textContent = "Selected: copy it with Ctrl+C.";
  }
});

// The token

element("token").form.addEventListener("submit", (event) => {
  event.preventDefault();
  const token = element("token").value.trim();
  if (!/^[\x21-\x7e]+$/.test(token)) return refuseToken("That is no token: it has letters, digits and signs alone.");
  sessionStorage.setItem("token", token);
  acceptToken("");
  if (!isEmpty()) ask(0);
  else sheet.focus();
});

// The beginning: what is there to answer

async function greet() {
  element("token").value = sessionStorage.getItem("token") ?? "";
  repaint();
  const response = await fetch("v1/model").catch(() => null);
  const found = await response?.json().catch(() => null);
  if (response?.ok && found) showModel(found.version, found.accuracy);
  else element("model").textContent = found?.detail ? sentence(found.detail) : "The service cannot be reached.";
}

greet();
