// Draw or choose a digit, ask the API, show its answer. No framework, no build step.

const DEBOUNCE_MILLISECONDS = 30; // another stroke may follow
const SLOW_MILLISECONDS = 1200;
const LONGEST_MILLISECONDS = 35_000; // a gateway gives up after 30 seconds
const RETRY_SECONDS = 5; // doubled each time, up to
const LONGEST_RETRY_SECONDS = 60;
const RETRIED = [429, 502, 503, 504];
const STEP = 14; // of the pen that the arrow keys move: one of the network's pixels
const SENT_AS_IT_IS_BYTES = 1_000_000; // what is larger is scaled down: a request has at most 4.5 MB
const SENT_AS_IT_IS_SIDE = 4000;
const LONGEST_SIDE = 1000; // of what is scaled down; the service looks at no more
const SERVED_TYPES = /^image\/(png|jpeg|gif|bmp|webp|tiff)$/;
const SAMPLE_SIDE = 28;
const INLINE_BYTES = 40_000; // what a shell takes in one argument, with room to spare
const PAPER = "#fff";
const INK = "#14130f";
const MARK = "#c2261a";

const COUNTS = ["Several", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"];
const VERDICTS = {
  blank: () => "There is nothing on it.",
  no_contrast: () => "Too faint to read: it needs more contrast.",
  several_digits: (found) => `${COUNTS[found.length] ?? found.length} digits found: send one at a time.`,
};
const WARNINGS = { touches_edge: "It touches the edge: part of it may be missing." };

const element = (id) => document.getElementById(id);
const sheet = element("sheet");
const context = sheet.getContext("2d", { alpha: false });
const SIDE = sheet.width;

// What is on the sheet: strokes of the pen, or one picture. `past` holds what was there before each change.
const EMPTY = { strokes: [], picture: null };
let content = EMPTY;
const past = [];
let stroke = null; // the one being drawn: its points, its width, and the pointer that draws it, or null for the keyboard
let cursor = null; // of the keyboard's pen
let boxes = []; // of the digits that were found, where there are several

// What is being asked; an answer to an earlier question is dropped.
let question = new AbortController();
let waiting = 0;
let retrySeconds = RETRY_SECONDS;
let loading = null; // the question that a picture is still being read for

// The sheet

function paint() {
  context.fillStyle = PAPER;
  context.fillRect(0, 0, SIDE, SIDE);
  if (content.picture) paintPicture(content.picture);
  for (const each of content.strokes) paintStroke(each);
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

function paintStroke({ points, width }, from = 0) {
  context.strokeStyle = INK;
  context.lineCap = context.lineJoin = "round";
  for (let index = from; index < points.length; index += 1) {
    const point = points[index];
    const before = points[index - 1] ?? point;
    context.lineWidth = width * point.pressure;
    context.beginPath();
    context.moveTo(before.x, before.y);
    context.lineTo(point.x, point.y);
    context.stroke();
  }
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

function change(next, since) {
  past.push(content);
  put(next, since);
}

function put(next, since) {
  content = next;
  stroke = null;
  boxes = [];
  repaint();
  ask(since);
}

function undo() {
  if (stroke) put(content);
  else if (past.length) put(past.pop());
}

function clear() {
  if (content === EMPTY) put(EMPTY);
  else change(EMPTY);
}

function begin(pointer, point) {
  if (content.picture) change(EMPTY); // a new sheet; undo brings the picture back
  drop();
  boxes = [];
  stroke = { pointer, points: [point], width: Number(element("width").value) };
  repaint();
}

function end() {
  const { points, width } = stroke;
  change({ ...content, strokes: [...content.strokes, { points, width }] });
}

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
  cursor = null;
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

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

sheet.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || (stroke && stroke.pointer !== null)) return;
  if (MOVES[event.key]) moveCursor(...MOVES[event.key]);
  else if (event.key === " " || event.key === "Enter") event.repeat || switchPen();
  else if (event.key === "Delete" || event.key === "Backspace") clear();
  else return;
  event.preventDefault();
});

function moveCursor(right, down) {
  const within = (value) => Math.min(SIDE - STEP, Math.max(STEP, value));
  cursor ??= { x: SIDE / 2, y: SIDE / 2 };
  cursor = { x: within(cursor.x + right * STEP), y: within(cursor.y + down * STEP) };
  if (stroke) stroke.points.push({ ...cursor, pressure: 1 });
  repaint();
}

function switchPen() {
  if (stroke) return end();
  cursor ??= { x: SIDE / 2, y: SIDE / 2 };
  begin(null, { ...cursor, pressure: 1 });
  say("asking", "The pen is down.");
}

document.addEventListener("keydown", (event) => {
  const undoes = event.key?.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
  if (!undoes || event.target === element("token")) return;
  event.preventDefault();
  undo();
});

sheet.addEventListener("focus", repaint);
sheet.addEventListener("blur", () => {
  if (stroke && stroke.pointer === null) end();
  else repaint();
});
element("undo").addEventListener("click", undo);
element("clear").addEventListener("click", clear);

// Pictures: chosen, photographed, dropped or pasted

element("choose").addEventListener("click", () => element("file").click());
element("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) show(file);
  event.target.value = "";
});

document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (!file || event.target === element("token")) return;
  event.preventDefault();
  show(file);
});

const hasFiles = (event) => event.dataTransfer.types.includes("Files");

document.addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  document.body.classList.remove("dropping");
  if (!hasFiles(event)) return;
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) show(file);
});

async function show(file) {
  await load("Reading the picture…", () => pictureOf(file), `This browser cannot read ${file.name} as a picture.`);
}

// Put a picture on the sheet once it is there, unless something else has been drawn or chosen meanwhile.
async function load(words, make, failure) {
  const since = performance.now();
  drop();
  stroke = null;
  repaint();
  const mine = (loading = question);
  say("asking", words);
  const picture = await make().catch(() => null);
  if (mine !== question) return;
  loading = null;
  if (picture) change({ strokes: [], picture }, since);
  else say("refused", failure);
}

// A picture as it is sent, and as it is shown. Its bytes are copied, as the file may change.
async function pictureOf(file) {
  const bytes = new Blob([await file.arrayBuffer()], { type: file.type });
  const image = await createImageBitmap(bytes);
  const longest = Math.max(image.width, image.height);
  const asItIs = SERVED_TYPES.test(bytes.type) && bytes.size <= SENT_AS_IT_IS_BYTES && longest <= SENT_AS_IT_IS_SIDE;
  if (asItIs) return { image, blob: bytes };
  const blob = await scaledDown(image, Math.min(1, LONGEST_SIDE / longest));
  image.close();
  return { image: await createImageBitmap(blob), blob };
}

function scaledDown(image, scale) {
  const canvas = new OffscreenCanvas(Math.max(1, image.width * scale), Math.max(1, image.height * scale));
  const drawing = canvas.getContext("2d", { alpha: false });
  drawing.fillStyle = PAPER; // JPEG has no transparency
  drawing.fillRect(0, 0, canvas.width, canvas.height);
  drawing.imageSmoothingQuality = "high";
  drawing.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
}

// Samples: digits of MNIST side by side in one picture

let sprite = null;
let sample = -1;

async function sampleAt(step) {
  sprite ??= await createImageBitmap(await (await fetch("page/samples.png")).blob());
  const count = sprite.width / SAMPLE_SIDE;
  sample = sample < 0 && step < 0 ? count - 1 : (sample + step + count) % count;
  const image = new OffscreenCanvas(SAMPLE_SIDE, SAMPLE_SIDE);
  const drawing = image.getContext("2d");
  drawing.drawImage(sprite, -sample * SAMPLE_SIDE, 0);
  const colours = drawing.getImageData(0, 0, SAMPLE_SIDE, SAMPLE_SIDE).data;
  const pixels = Array.from({ length: SAMPLE_SIDE ** 2 }, (_, at) => colours[4 * at]);
  return { image, blob: new Blob([JSON.stringify({ pixels })], { type: "application/json" }) };
}

for (const [id, step] of [["previous", -1], ["next", 1]]) {
  element(id).addEventListener("click", () => {
    load("Fetching the samples…", () => sampleAt(step), "The samples could not be fetched.");
  });
}

// Asking

const isEmpty = () => !content.picture && !content.strokes.length;

function drop() {
  clearTimeout(waiting);
  question.abort();
  question = new AbortController();
  retrySeconds = RETRY_SECONDS;
}

// Ask about what is on the sheet; `since` is when it came there.
function ask(since = performance.now()) {
  drop();
  if (isEmpty()) {
    say("idle", "Nothing is drawn yet.");
    return showCommand("Draw something first.");
  }
  element("answer").dataset.state = "asking"; // what stands there fades until the answer comes
  waiting = setTimeout(answer, DEBOUNCE_MILLISECONDS, since, question);
}

// Ask once more, where nothing has changed and nothing is under way.
function askAgain() {
  if (!isEmpty() && !stroke && loading !== question) ask();
}

async function answer(since, mine) {
  const blob = await body();
  if (mine !== question) return;
  showRequest(blob, mine);
  if (!token) return refuseToken("Type an access token, and it is read.");
  const slow = setTimeout(say, SLOW_MILLISECONDS, "asking", "Still waiting: a first request starts the service.");
  const reply = await post(blob, mine.signal).catch((error) => ({ error }));
  clearTimeout(slow);
  if (mine !== question) return;
  if (reply.error) retry(`${unreachable(reply.error)}.`);
  else if (!reply.ok) showProblem(reply);
  else if (!reply.document?.probabilities) retry("Something else than the service answered.");
  else showPrediction(reply, since);
}

async function post(blob, signal) {
  const response = await fetch("v1/predict?explain=1", {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": blob.type },
    body: blob,
    signal: AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MILLISECONDS)]),
  });
  const { ok, status, headers } = response;
  const text = await response.text();
  return { ok, status, headers, document: parsed(text) };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function body() {
  if (content.picture) return content.picture.blob;
  paint(); // without the marks
  const blob = new Promise((resolve) => sheet.toBlob(resolve, "image/png"));
  paintMarks();
  return blob;
}

function unreachable(error) {
  if (error.name === "TimeoutError") return "The service does not answer";
  return navigator.onLine ? "The service cannot be reached" : "This device is offline";
}

// Say what is wrong and ask again, ever less often, and not while nobody looks.
function retry(words, leastSeconds = 0) {
  const mine = question;
  const again = () => {
    if (document.hidden) waiting = setTimeout(again, RETRY_SECONDS * 1000);
    else answer(performance.now(), mine);
  };
  say("failed", `${words} It is asked again by itself.`);
  waiting = setTimeout(again, Math.max(retrySeconds, leastSeconds) * 1000);
  retrySeconds = Math.min(2 * retrySeconds, LONGEST_RETRY_SECONDS);
}

addEventListener("online", () => {
  if (element("answer").dataset.state === "failed") askAgain();
});

// Answers

// Say what there is instead of an answer.
function say(state, words) {
  element("answer").dataset.state = state;
  element("digit").textContent = state === "asking" ? "…" : "?";
  if (element("verdict").textContent !== words) element("verdict").textContent = words; // said aloud once
  for (const bar of bars) fill(bar, null, false);
  for (const id of ["time", "phases"]) element(id).textContent = "–";
  element("seen").hidden = true;
  element("steps").replaceChildren();
}

function showPrediction({ document: prediction, headers }, since) {
  acceptToken("is accepted");
  element("answer").dataset.state = "read";
  element("digit").textContent = prediction.pred;
  const accepted = document.createElement("span");
  accepted.className = prediction.accepted ? "accepted" : "doubtful";
  accepted.textContent = prediction.accepted ? "Accepted." : "Not sure enough: a person should look.";
  const warnings = prediction.warnings.map((name) => ` ${WARNINGS[name] ?? name}`);
  const read = `Read as ${prediction.pred}, with a confidence of ${percent(prediction.conf, 2)}. `;
  element("verdict").replaceChildren(read, accepted, ...warnings);
  bars.forEach((bar, digit) => fill(bar, prediction.probabilities[digit], digit === prediction.pred));
  showModel(prediction.model.version, prediction.model.accuracy);
  showExplanation(prediction.explain);
  showTimes(headers.get("server-timing") ?? "", since);
}

function showProblem({ document: problem, status, headers }) {
  if (status === 401) return refuseToken("That token is not valid.");
  if (problem?.verdict) return showVerdict(problem);
  const detail = sentence(problem?.detail ?? problem?.message ?? `The service answered with status ${status}`);
  if (RETRIED.includes(status)) retry(detail, Number(headers.get("retry-after")));
  else say("refused", detail);
}

function showVerdict({ verdict, detail, boxes: found = [] }) {
  const { left, top, scale } = content.picture ? place(content.picture) : { left: 0, top: 0, scale: 1 };
  boxes = found.map(([x, y, width, height]) => [left + x * scale, top + y * scale, width * scale, height * scale]);
  repaint();
  say("refused", VERDICTS[verdict]?.(found) ?? sentence(detail));
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
  const items = lines.map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  });
  element("steps").replaceChildren(...items);
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

// The request: small bodies stand in the command, larger ones are saved beside it

async function showRequest(blob, mine) {
  const lines = [`curl -s '${new URL("v1/predict?explain=1", document.baseURI)}' -H "Authorization: Bearer $TOKEN"`];
  const name = `digit.${blob.type.replace("image/", "")}`;
  const inline = blob.size <= INLINE_BYTES;
  if (inline) {
    const text = blob.type === "application/json" ? await blob.text() : await imageDocument(blob);
    lines.push(`-H 'Content-Type: application/json' -d '${text}'`);
  } else {
    lines.push(`-H 'Content-Type: ${blob.type}' --data-binary @${name}`);
  }
  if (mine === question) showCommand(lines.join(" \\\n  "), inline ? null : blob, name);
}

function showCommand(command, blob = null, name = "") {
  element("request").textContent = command;
  element("copy").disabled = isEmpty();
  element("copied").textContent = "";
  const link = element("save");
  URL.revokeObjectURL(link.href);
  link.hidden = !blob;
  link.download = link.textContent = name;
  if (blob) link.href = URL.createObjectURL(blob);
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
    element("copied").textContent = "Selected: copy it with Ctrl+C or ⌘C.";
  }
});

// The token: kept by the tab, where the browser lets it

let token = "";

function refuseToken(words) {
  say("refused", words);
  element("access").open = true;
  element("token").setAttribute("aria-invalid", "true");
  element("token-state").textContent = "is missing or wrong";
}

function acceptToken(words) {
  element("token").removeAttribute("aria-invalid");
  element("token-state").textContent = words;
}

function storedToken() {
  try {
    return sessionStorage.getItem("token") ?? "";
  } catch {
    return "";
  }
}

function storeToken() {
  try {
    sessionStorage.setItem("token", token);
  } catch {
    // It is typed again after the page is loaded again.
  }
}

element("token").form.addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = element("token").value.trim();
  if (!/^[\x21-\x7e]+$/.test(typed)) return refuseToken("That is no token: it has letters, digits and signs alone.");
  token = typed;
  storeToken();
  acceptToken("");
  element("access").open = false; // here and not with the answer, which would move the sheet under the pen
  sheet.focus();
  askAgain();
});

// The beginning: what is there to answer

async function greet() {
  token = element("token").value = storedToken();
  element("access").open = !token;
  repaint();
  const response = await fetch("v1/model").catch(() => null);
  const found = parsed((await response?.text()) ?? "");
  if (response?.ok && found) showModel(found.version, found.accuracy);
  else element("model").textContent = found?.detail ? sentence(found.detail) : "The service cannot be reached.";
}

greet();
