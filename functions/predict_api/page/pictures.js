// Pictures: chosen, photographed, dropped or pasted, and samples. Each has an image to show, and the bytes to send; what
// comes as a file may show more than a digit.

import { say } from "./answer.js";
import { change } from "./drawing.js";
import { hold, release } from "./question.js";
import { PAPER, blobOf, takeStrokeBack } from "./sheet.js";

const SENT_AS_IT_IS_BYTES = 1_000_000; // what is larger is scaled down: a request has at most 4.5 MB
const SENT_AS_IT_IS_SIDE = 4000;
const LONGEST_SIDE = 1000; // of what is scaled down; the service looks at no more
const SERVED_TYPES = /^image\/(png|jpeg|gif|bmp|webp|tiff)$/;
const SAMPLE_SIDE = 28;

const input = document.getElementById("file");

document.getElementById("choose").addEventListener("click", () => input.click());
input.addEventListener("change", () => {
  const [file] = input.files;
  if (file) show(file);
  input.value = "";
});

document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (!file || event.target === document.getElementById("token")) return;
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

// What is said where there is no picture to show; any other error is a mistake of the page's.
class PictureError extends Error {}

async function show(file) {
  await load("Reading the picture…", () => pictureOf(file));
}

// Put a picture on the sheet once it is there, unless something else has been drawn or chosen meanwhile.
async function load(words, make) {
  const since = performance.now();
  const signal = hold();
  takeStrokeBack();
  say("asking", words);
  const found = await make().catch((error) => error);
  if (signal.aborted) return;
  release();
  if (found instanceof PictureError) say("refused", found.message);
  else if (found instanceof Error) throw found;
  else change({ strokes: [], picture: found }, since);
}

function orSay(words) {
  return () => {
    throw new PictureError(words);
  };
}

// A picture as it is sent, and as it is shown. Its bytes are copied, as the file may change.
async function pictureOf(file) {
  const unreadable = orSay(`This browser cannot read ${file.name} as a picture.`);
  const bytes = new Blob([await file.arrayBuffer().catch(unreadable)], { type: file.type });
  const image = await createImageBitmap(bytes).catch(unreadable);
  const longest = Math.max(image.width, image.height);
  const asItIs = SERVED_TYPES.test(bytes.type) && bytes.size <= SENT_AS_IT_IS_BYTES && longest <= SENT_AS_IT_IS_SIDE;
  if (asItIs) return { image, blob: bytes, isFile: true };
  const smaller = scaledDown(image, Math.min(1, LONGEST_SIDE / longest));
  image.close();
  return { image: smaller, blob: await blobOf(smaller, "image/jpeg", 0.9), isFile: true };
}

function scaledDown(image, scale) {
  const canvas = canvasOf(Math.max(1, image.width * scale), Math.max(1, image.height * scale));
  const drawing = canvas.getContext("2d", { alpha: false });
  drawing.fillStyle = PAPER; // JPEG has no transparency
  drawing.fillRect(0, 0, canvas.width, canvas.height);
  drawing.imageSmoothingQuality = "high";
  drawing.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// Not an OffscreenCanvas: Safari has had one for a short time only.
function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

// Samples: digits of MNIST side by side in one picture

let sprite = null;
let sample = -1;

async function sampleAt(step) {
  sprite ??= await createImageBitmap(await fetchedSamples().catch(orSay("The samples could not be fetched.")));
  const count = sprite.width / SAMPLE_SIDE;
  sample = sample < 0 && step < 0 ? count - 1 : (sample + step + count) % count;
  const image = canvasOf(SAMPLE_SIDE, SAMPLE_SIDE);
  const drawing = image.getContext("2d");
  drawing.drawImage(sprite, -sample * SAMPLE_SIDE, 0);
  const colours = drawing.getImageData(0, 0, SAMPLE_SIDE, SAMPLE_SIDE).data;
  const pixels = Array.from({ length: SAMPLE_SIDE ** 2 }, (_, at) => colours[4 * at]);
  return { image, blob: new Blob([JSON.stringify({ pixels })], { type: "application/json" }) };
}

async function fetchedSamples() {
  const response = await fetch("page/samples.png");
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.blob();
}

for (const [id, step] of [["previous", -1], ["next", 1]]) {
  document.getElementById(id).addEventListener("click", () => {
    load("Fetching the samples…", () => sampleAt(step));
  });
}
