// The command that asks the same from a terminal: small bodies stand in it, larger ones are saved beside it.

import { isEmpty } from "./sheet.js";

const INLINE_BYTES = 40_000; // what a shell takes in one argument, with room to spare

const request = document.getElementById("request");
const copy = document.getElementById("copy");
const copied = document.getElementById("copied");
const link = document.getElementById("save");

export async function showRequest(blob, signal) {
  const lines = [`curl -s '${new URL("v1/predict?explain=1", document.baseURI)}' -H "Authorization: Bearer $TOKEN"`];
  const name = `digit.${blob.type.replace("image/", "")}`;
  const inline = blob.size <= INLINE_BYTES;
  if (inline) {
    const text = blob.type === "application/json" ? await blob.text() : await imageDocument(blob);
    lines.push(`-H 'Content-Type: application/json' -d '${text}'`);
  } else {
    lines.push(`-H 'Content-Type: ${blob.type}' --data-binary @${name}`);
  }
  if (!signal.aborted) showCommand(lines.join(" \\\n  "), inline ? null : blob, name);
}

export function showCommand(command, blob = null, name = "") {
  request.textContent = command;
  copy.disabled = isEmpty();
  copied.textContent = "";
  URL.revokeObjectURL(link.href);
  link.hidden = !blob;
  link.download = link.textContent = name;
  if (blob) link.href = URL.createObjectURL(blob);
}

async function imageDocument(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return JSON.stringify({ image: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")) });
}

copy.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(request.textContent);
    copied.textContent = "Copied. Put your token into TOKEN.";
  } catch {
    getSelection().selectAllChildren(request);
    copied.textContent = "Selected: copy it with Ctrl+C or ⌘C.";
  }
});
