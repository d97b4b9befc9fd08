// Typing: the text is classified while it is written, and only the newest answer is shown.

import { ask, element, percent, useToken, wellFormed } from "./api.js";
import { showCard } from "./card.js";
import { followFiles } from "./file.js";
import { showWords } from "./words.js";

const TYPING = 120; // milliseconds without a key before the text is classified
const THINKING = 450; // the same before its words are explained
const FIRST = 8; // classes that are shown at first

const byId = (id) => document.getElementById(id);
let card;
let current = { controller: new AbortController(), texts: [], result: null };
let timers = [];
let explainedClass = null; // whose words are asked for; null: of the most probable one
let pressedClass = null; // whose words are shown
let explanations = 0;
let showAll = false;

function texts() {
  const given = [wellFormed(byId("text").value)];
  if (card.pair) given.push(wellFormed(byId("second").value));
  return given;
}

function typed() {
  timers.forEach(clearTimeout);
  current.controller.abort();
  const written = texts();
  current = { controller: new AbortController(), texts: written, result: null };
  if (!written.some((text) => text.trim())) {
    showNothing();
    return;
  }
  byId("answer").classList.add("stale");
  timers = [setTimeout(classify, TYPING, current), setTimeout(explain, THINKING, current)];
}

async function classify(asked) {
  const input = card.pair ? asked.texts : asked.texts[0];
  await guarded(asked, async () => {
    const answer = await ask("v1/classify", { texts: [input] }, asked.controller.signal);
    asked.result = answer.results[0];
    if (asked === current) showResult(asked.result);
  });
}

async function explain(asked) {
  const input = card.pair ? asked.texts : asked.texts[0];
  const number = ++explanations;
  const body = explainedClass ? { text: input, label: explainedClass } : { text: input };
  try {
    const explained = await ask("v1/explain", body, asked.controller.signal);
    if (asked !== current || number !== explanations) return;
    showWords(explained, asked.texts);
    byId("words").hidden = false;
    press(explained.label);
  } catch (error) {
    if (asked === current && error.name !== "AbortError") byId("words").hidden = true; // too long, or too much to do
  }
}

async function guarded(asked, work) {
  try {
    await work();
    byId("problem").hidden = true;
  } catch (error) {
    if (error.name === "AbortError" || asked !== current) return;
    problem(error);
  }
}

function problem(error) {
  if (error.status === 401) byId("token-form").hidden = false;
  byId("problem").textContent = error.message;
  byId("problem").hidden = false;
}

function showNothing() {
  byId("answer").classList.remove("stale");
  byId("verdict").textContent = "Nothing to classify yet";
  byId("verdict").classList.add("empty");
  byId("text-note").textContent = "";
  byId("words").hidden = true;
  byId("status").textContent = "";
  explainedClass = pressedClass = null;
  showBars(Object.fromEntries(card.labels.map((label) => [label, 0])), [], true);
}

function showResult(result) {
  byId("answer").classList.remove("stale");
  byId("verdict").textContent = result.label || "No label";
  byId("verdict").classList.toggle("empty", !result.label);
  showBars(result.probabilities, result.labels);
  byId("text-note").textContent = length(result.tokens);
  const said = result.labels.map((label) => `${label}, ${percent(result.probabilities[label], 0)}`).join("; ");
  byId("status").textContent = said || "No label";
}

// How much was read. A text that just fits and one that was cut have the same number of tokens.
function length(tokens) {
  const most = card.max_tokens;
  if (tokens > most) return `${tokens} tokens, read in windows of at most ${most}.`;
  const full = tokens === most && !card.windows ? " That is all the model reads: of a longer text, the rest is not used." : "";
  return `${tokens} of at most ${most} tokens.${full}`;
}

function showBars(probabilities, chosen, keepOrder = false) {
  const entries = Object.entries(probabilities);
  const fewClasses = entries.length <= FIRST;
  if (!fewClasses && !keepOrder) entries.sort((one, other) => other[1] - one[1]);
  const shown = showAll ? entries : entries.slice(0, FIRST);
  const bars = byId("bars");
  while (bars.children.length > shown.length) bars.lastChild.remove();
  while (bars.children.length < shown.length) bars.append(newBar());
  shown.forEach(([label, share], place) => updateBar(bars.children[place], label, share, chosen.includes(label)));
  byId("more").hidden = fewClasses;
  byId("more").textContent = showAll ? `Show the ${FIRST} most probable` : `Show all ${entries.length} classes`;
}

function newBar() {
  const button = element("button", { type: "button" });
  const track = element("span", { className: "track" }, element("span", { className: "fill" }));
  button.append(element("span", { className: "class" }), element("span", { className: "value" }), track);
  button.addEventListener("click", () => {
    explainedClass = button.dataset.label;
    if (current.texts.some((text) => text.trim())) explain(current);
  });
  return element("li", {}, button);
}

function updateBar(item, label, share, isChosen) {
  const button = item.firstChild;
  button.dataset.label = label;
  button.setAttribute("aria-pressed", String(label === pressedClass));
  item.classList.toggle("chosen", isChosen);
  item.querySelector(".class").textContent = label;
  item.querySelector(".value").textContent = percent(share);
  item.querySelector(".fill").style.width = `${100 * share}%`;
}

function press(label) {
  pressedClass = label;
  for (const button of byId("bars").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.label === label));
  }
}

function showExamples() {
  const list = byId("examples").querySelector("ul");
  list.replaceChildren(...card.examples.map((example) => {
    const button = element("button", { type: "button" }, element("span", { textContent: example }));
    button.addEventListener("click", () => {
      byId("text").value = example;
      explainedClass = null;
      typed();
    });
    return element("li", {}, button);
  }));
  byId("examples-label").textContent = card.examples_note || "Or try one of these";
  byId("examples").hidden = !card.examples.length;
}

async function begin() {
  try {
    card = await ask("v1/model");
  } catch (error) {
    problem(error);
    return;
  }
  byId("token-form").hidden = byId("problem").hidden = true;
  document.title = `${card.name}: try the classifier`;
  if (card.pair) {
    byId("text-label").textContent = card.pair[0];
    byId("second-label").textContent = card.pair[1];
    byId("second-part").hidden = false;
  }
  byId("text").maxLength = byId("second").maxLength = card.limits.characters;
  byId("verdict-label").textContent = card.task === "multi-label" ? "Labels" : "Label";
  showCard(card);
  showExamples();
  followFiles(card);
  if (texts().some((text) => text.trim())) typed();
  else showNothing();
}

byId("text").addEventListener("input", () => card && typed());
byId("second").addEventListener("input", () => card && typed());
byId("more").addEventListener("click", () => {
  showAll = !showAll;
  if (current.result) showBars(current.result.probabilities, current.result.labels);
  else showNothing();
});
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(byId("token").value.trim());
  begin();
});
begin();
