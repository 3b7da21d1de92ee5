// The service: the requests to it, and the token that they carry.

const LONGEST_MILLISECONDS = 35_000; // a gateway gives up after 30 seconds

export let token = "";

// The tab keeps the token, where the browser lets it.
export function restoreToken() {
  try {
    token = sessionStorage.getItem("token") ?? "";
  } catch {
    token = "";
  }
}

export function keepToken(typed) {
  token = typed;
  try {
    sessionStorage.setItem("token", token);
  } catch {
    // It is typed again after the page is loaded again.
  }
}

export async function predict(blob, signal) {
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

// Its document tells the live model, or why there is none; it is null where the service does not answer.
export async function describeModel() {
  const response = await fetch("v1/model").catch(() => null);
  return { ok: response?.ok, document: parsed((await response?.text()) ?? "") };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function unreachable(error) {
  if (error.name === "TimeoutError") return "The service does not answer";
  return navigator.onLine ? "The service cannot be reached" : "This device is offline";
}
