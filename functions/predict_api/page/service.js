// The service: the requests to it, and the token that they carry.

export const PREDICT = "v1/predict?explain=1"; // one digit
export const READ = "v1/read"; // a number
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

// What the service answers, or in `unreachable` the words on why it did not: a mistake of the page's is thrown instead.
export async function post(address, blob, signal) {
  return answerTo(address, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": blob.type },
    body: blob,
    signal: either(signal, AbortSignal.timeout(LONGEST_MILLISECONDS)),
  });
}

// Its document tells the live model, or why there is none.
export const describeModel = () => answerTo("v1/model", {});

async function answerTo(address, request) {
  const [response, text] = await fetched(address, request).catch(() => []);
  if (!response) return { unreachable: reasonOf(request.signal) };
  const { ok, status, headers } = response;
  return { ok, status, headers, document: parsed(text) };
}

async function fetched(address, request) {
  const response = await fetch(address, request);
  return [response, await response.text()];
}

function reasonOf(signal) {
  if (signal?.reason?.name === "TimeoutError") return "The service does not answer.";
  return navigator.onLine ? "The service cannot be reached." : "This device is offline.";
}

// A signal that follows each of these; Safari before 17.4 has no AbortSignal.any.
function either(...signals) {
  const controller = new AbortController();
  for (const signal of signals) {
    const follow = () => controller.abort(signal.reason);
    if (signal.aborted) follow();
    else signal.addEventListener("abort", follow, { once: true });
  }
  return controller.signal;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
