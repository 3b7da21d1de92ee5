// The sheet: strokes of the pen or one picture, as ink on paper, and the marks above it.

export const PAPER = "#fff";
const INK = "#14130f";
const MARK = "#c2261a";

export const sheet = document.getElementById("sheet");
const context = sheet.getContext("2d", { alpha: false });
export const SIDE = sheet.width;

// What is on the sheet is replaced and never changed, so that undo can bring it back.
export const EMPTY = { strokes: [], picture: null };
export let content = EMPTY;
export let stroke = null; // the one being drawn: points, width, and the pointer that draws it, or null for the keyboard
export let cursor = null; // of the keyboard's pen
let boxes = []; // of the digits that were found, where there are several
let chosen = -1; // which of them stands out

export const isEmpty = () => !content.picture && !content.strokes.length;

export function put(next) {
  content = next;
  stroke = null;
  boxes = [];
  repaint();
}

export function startStroke(next) {
  stroke = next;
  boxes = [];
  repaint();
}

export function takeStrokeBack() {
  stroke = null;
  repaint();
}

export function placeCursor(point) {
  cursor = point;
}

// Mark digits; their boxes count in pixels of the picture, or of the sheet where there is none.
export function mark(found, outstanding = -1) {
  chosen = outstanding;
  const { left, top, scale } = content.picture ? place(content.picture) : { left: 0, top: 0, scale: 1 };
  boxes = found.map(([x, y, width, height]) => [left + x * scale, top + y * scale, width * scale, height * scale]);
  repaint();
}

// What is sent: the picture as it came, or the drawing without the marks.
export function body() {
  if (content.picture) return content.picture.blob;
  paint();
  const blob = blobOf(sheet, "image/png");
  paintMarks();
  return blob;
}

export function blobOf(canvas, type, quality) {
  return new Promise((resolve) => canvas.toBlob(resolve, type, quality));
}

export function repaint() {
  paint();
  paintMarks();
}

function paint() {
  context.fillStyle = PAPER;
  context.fillRect(0, 0, SIDE, SIDE);
  if (content.picture) paintPicture(content.picture);
  for (const each of content.strokes) paintStroke(each);
  if (stroke) paintStroke(stroke);
}

function paintMarks() {
  context.strokeStyle = MARK;
  for (const [at, [left, top, width, height]] of boxes.entries()) {
    context.lineWidth = at === chosen ? 4 : 1.5;
    context.strokeRect(left - 3, top - 3, width + 6, height + 6);
  }
  context.lineWidth = 2;
  if (cursor && document.activeElement === sheet) {
    context.beginPath();
    context.arc(cursor.x, cursor.y, 9, 0, 7);
    context.stroke();
  }
}

export function paintStroke({ points, width }, from = 0) {
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
