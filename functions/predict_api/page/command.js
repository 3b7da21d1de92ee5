// The command that asks the same from a terminal: small bodies stand in it, larger ones are saved beside it.

import { copies } from "./copying.js";
import { isEmpty } from "./sheet.js";

const INLINE_BYTES = 40_000; // what a shell takes in one argument, with room to spare

const request = document.getElementById("request");
const copy = document.getElementById("copy");
const copied = document.getElementById("copied");
const link = document.getElementById("save");

export async function showRequest(address, blob, signal) {
  const lines = [`curl -s '${new URL(address, document.baseURI)}' -H "Authorization: Bearer $TOKEN"`];
  const name = `picture.${blob.type.replace("image/", "")}`;
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

copies(copy, request, copied, "Copied. Put your token into TOKEN.");
