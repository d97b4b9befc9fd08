// The model's card: what it was trained on and with, how often it is right, and what to doubt.

import { element, percent } from "./api.js";

const number = (value) => value.toLocaleString("en-US");

export function showCard(card) {
  document.getElementById("name").textContent = card.name;
  document.getElementById("description").textContent = card.description;
  document.getElementById("headline").replaceChildren(...headline(card));
  const [first] = card.results;
  const tables = element("div", { className: "pair" }, resultsTable(card.results));
  if (first?.confusion_matrix) tables.append(matrix(first, card.labels));
  const content = [facts(card), ...(card.results.length ? [tables] : []), doubts(card.doubts)];
  if (first) content.push(perClass(first));
  document.getElementById("card-content").replaceChildren(...content);
  const example = card.pair ? '[["first text", "second text"]]' : '["a text", "another text"]';
  document.getElementById("curl").textContent =
    `curl ${location.origin}/v1/classify \\\n  -H 'Content-Type: application/json' \\\n  -d '{"texts": ${example}}'`;
}

function headline(card) {
  const [first] = card.results;
  const shown = [];
  if (first) {
    const [metric] = first.metrics;
    const between = first.interval ? `95% interval ${first.interval.map((share) => percent(share)).join(" to ")}` : "";
    shown.push([`${metric.name}, ${number(first.rows)} ${first.set} texts`, metric.shown, between]);
  }
  const { trained, budget } = card.budget;
  if (trained) shown.push(["Trained parameters", number(trained), budget ? `budget ${number(budget)}` : ""]);
  return shown.map(([name, value, note]) =>
    element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value }),
      element("dd", { textContent: note })));
}

function facts(card) {
  const all = [...card.facts, ["Reads", `${card.max_tokens} tokens of a text`], ["Model", card.id]];
  return element("dl", { className: "facts" }, ...all.map(([name, value]) =>
    element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value }))));
}

function resultsTable(results) {
  const scale = scaleOf(results);
  const between = `95% interval, on ${percent(scale[0], 0)} to ${percent(scale[1], 0)}`;
  const head = element("tr", {}, header("Texts"), numberHeader("Rows"), numberHeader(results[0]?.metrics[0].name ?? "Result"),
    header(between));
  const rows = results.map((result) => {
    const [metric] = result.metrics;
    const value = element("td", { className: "number", textContent: metric.shown });
    const interval = element("td", {});
    if (result.interval) {
      interval.append(result.interval.map((share) => percent(share)).join(" to "), range(result.interval, metric.value, scale));
    }
    const rows = element("td", { className: "number", textContent: number(result.rows) });
    return element("tr", {}, header(result.set, "row"), rows, value, interval);
  });
  const made = element("div", { className: "scroll", tabIndex: 0 }, table("How often it is right", head, rows));
  made.setAttribute("role", "region");
  made.setAttribute("aria-label", "Results");
  return made;
}

// The shares between which all intervals lie, in steps of five percent.
function scaleOf(results) {
  const ends = results.flatMap((result) => result.interval ?? []);
  if (!ends.length) return [0, 1];
  const low = Math.floor(20 * Math.min(...ends)) / 20;
  return [low, Math.max(low + 0.05, Math.ceil(20 * Math.max(...ends)) / 20)];
}

function range([low, high], value, [from, to]) {
  const place = (share) => (share - from) / (to - from);
  const bar = element("i");
  bar.style.left = percent(place(low));
  bar.style.width = percent(place(high) - place(low));
  const mark = element("b");
  mark.style.left = `calc(${percent(place(value))} - 1.5px)`;
  const track = element("span", { className: "range" }, bar, mark);
  track.setAttribute("aria-hidden", "true");
  return track;
}

function matrix(result, labels) {
  const head = element("tr", {}, element("td"), ...labels.map((label) => header(label)));
  const rows = result.confusion_matrix.map((counts, place) => {
    const all = counts.reduce((sum, count) => sum + count, 0) || 1;
    return element("tr", {}, header(labels[place], "row"), ...counts.map((count, other) => {
      const cell = element("td", { textContent: number(count), className: count ? "" : "zero" });
      const colour = other === place ? "--blue" : "--orange";
      const strength = count ? Math.round(10 + 35 * (count / all)) : 0;
      cell.style.background = `color-mix(in srgb, var(${colour}) ${strength}%, transparent)`;
      return cell;
    }));
  });
  const made = table(`Label in the rows, prediction in the columns (${result.set})`, head, rows);
  made.className = "matrix";
  const scroll = element("div", { className: "scroll", tabIndex: 0 }, made);
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "Confusion matrix");
  return scroll;
}

function perClass(result) {
  const head = element("tr", {}, header("Class"), numberHeader("F1"), numberHeader("Rows"));
  const rows = result.per_class.map((row) =>
    element("tr", {}, header(row.label, "row"), element("td", { className: "number", textContent: row.f1.toFixed(3) }),
      element("td", { className: "number", textContent: number(row.support) })));
  return element("details", {}, element("summary", { textContent: "Each class" }), table(`F1 (${result.set})`, head, rows));
}

function doubts(sentences) {
  return element("ul", { className: "doubts" }, ...sentences.map((sentence) =>
    element("li", { className: "notice small", textContent: sentence })));
}

function numberHeader(name) {
  return Object.assign(header(name), { className: "number" });
}

function header(name, scope = "col") {
  return element("th", { textContent: name, scope });
}

function table(caption, head, rows) {
  return element("table", {}, element("caption", { textContent: caption }), element("thead", {}, head),
    element("tbody", {}, ...rows));
}
