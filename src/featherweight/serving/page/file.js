// A CSV file: read here, classified piece by piece, and offered again with labels and probabilities.

import { ask, element, pause, percent, wellFormed } from "./api.js";
import { formatCsv, parseCsv } from "./csv.js";

const LARGEST = 50_000_000; // bytes of a file that a browser holds easily
const PIECE = 64; // texts of a request: small enough for a progress that moves
const SHOWN = 5;
const TRIES = 5; // of a piece that the server does not answer in time; while it is only busy, the page waits
const LIKELY = /text|title|content|body|description|message|review|comment|headline|sentence/i;

const byId = (id) => document.getElementById(id);
let card;
let table; // { name, header, rows, delimiter }
let controller;

export function followFiles(model) {
  if (card) {
    card = model;
    return;
  }
  card = model;
  const drop = byId("drop");
  byId("file").addEventListener("change", (event) => open(event.target.files[0]));
  for (const kind of ["dragover", "drop", "dragleave"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over-it", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
    });
  }
  byId("start").addEventListener("click", start);
  byId("cancel").addEventListener("click", () => controller?.abort());
}

async function open(file) {
  if (!file) return;
  controller?.abort();
  byId("file-work").hidden = false;
  byId("file-name").textContent = file.name;
  for (const id of ["start", "download", "preview", "progress", "columns"]) byId(id).hidden = true;
  if (file.size > LARGEST) {
    say("This file is larger than 50 MB; classify it with: featherweight predict RUN FILE -o labels.csv");
    return;
  }
  const { text, note } = await decoded(file);
  const { rows, delimiter } = parseCsv(text);
  const [header, ...body] = rows;
  if (!body.length) {
    say("This file has no rows below its header.");
    return;
  }
  table = { name: file.name, header, rows: body, delimiter };
  chooseColumns();
  say(`${body.length.toLocaleString("en-US")} rows.${note}`);
  byId("start").hidden = byId("columns").hidden = false;
  byId("start").focus();
}

async function decoded(file) {
  const bytes = await file.arrayBuffer();
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes), note: "" };
  } catch {
    return { text: new TextDecoder("windows-1252").decode(bytes), note: " It is not UTF-8; it was read as Windows-1252." };
  }
}

function chooseColumns() {
  const names = card.pair ?? ["Column of the texts"];
  byId("columns").replaceChildren(...names.map((name, number) => {
    const select = element("select", {}, ...table.header.map((column, place) =>
      element("option", { value: place, textContent: column || `column ${place + 1}` })));
    select.value = String(guess(name, number));
    return element("label", {}, element("span", { textContent: name }), select);
  }));
}

// The column of that name, or with a likely one, or with the longest cells.
function guess(name, number) {
  const same = table.header.findIndex((column) => column.toLowerCase() === name.toLowerCase());
  if (same >= 0) return same;
  const likely = table.header.flatMap((column, place) => (LIKELY.test(column) ? [place] : []));
  if (likely.length > number) return likely[number];
  const sample = table.rows.slice(0, 50);
  const size = table.header.map((_, place) => sample.reduce((sum, row) => sum + (row[place] ?? "").length, 0));
  return size.indexOf(Math.max(...size));
}

async function start() {
  const columns = [...byId("columns").querySelectorAll("select")].map((select) => Number(select.value));
  controller = new AbortController();
  const { signal } = controller;
  busy(true);
  try {
    const results = await classifyAll(columns, signal);
    offer(results);
  } catch (error) {
    say(error.name === "AbortError" ? "Cancelled; nothing was written." : `${error.message.replace(/[.;]?$/, ".")} Nothing was written.`);
  } finally {
    busy(false);
  }
}

async function classifyAll(columns, signal) {
  const most = card.limits.characters;
  table.cut = 0;
  const text = (cell) => {
    if (cell.length > most) table.cut += 1;
    return wellFormed(cell.slice(0, most));
  };
  const inputs = table.rows.map((row) => {
    const texts = columns.map((place) => text(row[place] ?? ""));
    return card.pair ? texts : texts[0];
  });
  const results = [];
  const began = performance.now();
  while (results.length < inputs.length) {
    const piece = nextPiece(inputs, results.length);
    results.push(...(await classified(piece, signal)));
    const share = results.length / inputs.length;
    byId("progress").value = share;
    const left = Math.ceil(((performance.now() - began) / 1000) * (1 / share - 1));
    say(`${results.length.toLocaleString("en-US")} of ${inputs.length.toLocaleString("en-US")} rows${left ? `, about ${left} s left` : ""}`);
  }
  return results;
}

function nextPiece(inputs, from) {
  const piece = [];
  let bytes = 0;
  let characters = 0; // most tokenizers make fewer tokens than characters
  while (from + piece.length < inputs.length && piece.length < Math.min(PIECE, card.limits.texts)) {
    const { length } = String(inputs[from + piece.length]);
    const size = 6 * length + 16; // a character takes six bytes at most
    characters += length;
    if (piece.length && (bytes + size > card.limits.body_bytes - 64 || characters > card.limits.tokens)) break;
    piece.push(inputs[from + piece.length]);
    bytes += size;
  }
  return piece;
}

async function classified(texts, signal) {
  let tries = 0;
  for (;;) {
    try {
      return (await ask("v1/classify", { texts }, signal)).results;
    } catch (error) {
      if (error.status === 503) tries += 1;
      if ((error.status !== 429 && error.status !== 503) || tries === TRIES) throw error;
      say(`The server is busy; trying again in ${error.retryAfter} s`);
      await pause(error.retryAfter, signal);
    }
  }
}

function offer(results) {
  const added = ["label", ...card.labels.map((label) => `p_${label}`)].map(unused);
  const width = table.header.length;
  const rows = table.rows.map((row, place) => {
    const { labels, probabilities } = results[place];
    const cells = [...row, ...Array(Math.max(0, width - row.length)).fill("")].slice(0, Math.max(width, row.length));
    return [...cells, labels.join("|"), ...card.labels.map((label) => probabilities[label].toFixed(6))];
  });
  const content = formatCsv([[...table.header, ...added], ...rows], table.delimiter);
  const link = byId("download");
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([content], { type: "text/csv;charset=utf-8" }));
  link.download = table.name.replace(/(\.\w+)?$/, "-labels.csv");
  link.textContent = `Download ${link.download}`;
  link.hidden = false;
  link.focus();
  preview(results);
  const count = (value) => value.toLocaleString("en-US");
  const were = table.cut === 1 ? "text was" : "texts were";
  const cut = table.cut ? ` ${count(table.cut)} ${were} cut to the first ${count(card.limits.characters)} characters.` : "";
  say(`Done: ${count(rows.length)} rows.${cut}`);
}

// A name that no column of the file has.
function unused(name) {
  while (table.header.includes(name)) name = `${name}_predicted`;
  return name;
}

function preview(results) {
  const columns = [...byId("columns").querySelectorAll("select")].map((select) => Number(select.value));
  const head = element("tr", {}, ...["Text", "Label", "Probability"].map((name) => element("th", { textContent: name, scope: "col" })));
  const rows = results.slice(0, SHOWN).map(({ label, labels, probabilities }, place) => {
    const text = columns.map((column) => table.rows[place][column] ?? "").join(" | ");
    const shares = labels.map((name) => percent(probabilities[name])).join(", ");
    const cells = [text.length > 120 ? `${text.slice(0, 119)}…` : text, label || "none", shares];
    return element("tr", {}, ...cells.map((textContent) => element("td", { textContent })));
  });
  byId("preview").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
  byId("preview").hidden = false;
}

function busy(now) {
  byId("start").hidden = now;
  byId("cancel").hidden = !now;
  byId("progress").hidden = !now;
  byId("progress").value = 0;
  if (now) {
    byId("download").hidden = byId("preview").hidden = true;
    byId("cancel").focus();
  }
}

function say(text) {
  byId("file-status").textContent = text;
}
