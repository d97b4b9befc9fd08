// Requests to the server: the token, errors as sentences, and waiting when the server asks for it.

const KEY = "featherweight-token";

export class Refused extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export function useToken(token) {
  sessionStorage.setItem(KEY, token);
}

export async function ask(path, body, signal) {
  const token = sessionStorage.getItem(KEY);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const options = { headers, signal };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server does not answer. Is it still running?");
  }
  if (response.ok) return response.json();
  const content = await response.json().catch(() => ({}));
  const message = content.error?.message ?? `The server answered with status ${response.status}.`;
  throw new Refused(response.status, message, Number(response.headers.get("Retry-After")) || 1);
}

export const pause = (seconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("cancelled", "AbortError"));
    });
  });

// Half characters, which JSON in UTF-8 cannot hold, are replaced.
export const wellFormed = (text) => (text.toWellFormed ? text.toWellFormed() : text);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// 100% only if it is 1: rounding would hide a few errors.
export const percent = (share, digits = 1) =>
  `${(share < 1 ? Math.min(100 * share, 100 - 10 ** -digits) : 100 * share).toFixed(digits)}%`;
