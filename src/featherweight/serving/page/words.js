// The words for and against a class, marked in the text, and the strongest of them as a list.

import { element, percent } from "./api.js";

const SHOWN = 0.05; // log-odds below which a word is not marked
const RELATIVE = 0.12; // share of the strongest word's log-odds below which it is not marked either
const STRONGEST = 3;

export function showWords(explained, texts) {
  const characters = texts.map((text) => Array.from(text));
  const most = Math.max(1, ...explained.parts.map((part) => Math.abs(part.effect)));
  const marked = document.getElementById("marked");
  marked.replaceChildren();
  characters.forEach((side, number) => {
    if (number) marked.append("\n");
    let place = 0;
    for (const part of explained.parts.filter((candidate) => candidate.side === number)) {
      marked.append(side.slice(place, part.start).join(""));
      marked.append(markedPart(side.slice(part.start, part.end).join(""), part, explained, most));
      place = part.end;
    }
    marked.append(side.slice(place).join(""));
  });
  document.getElementById("words-heading").textContent = `Words for and against “${explained.label}”`;
  const word = (part) => characters[part.side].slice(part.start, part.end).join("");
  document.getElementById("strongest").replaceChildren(...strongest(explained, word));
}

function markedPart(word, part, explained, most) {
  if (Math.abs(part.effect) < Math.max(SHOWN, RELATIVE * most)) return word;
  const mark = element("mark", { className: part.effect > 0 ? "for" : "against", textContent: word });
  mark.style.setProperty("--strength", `${Math.round(8 + 42 * (Math.abs(part.effect) / most))}%`);
  mark.title = `${percent(explained.probability)} with it, ${percent(part.without)} without it`;
  return mark;
}

function strongest(explained, word) {
  const ordered = [...explained.parts].sort((one, other) => Math.abs(other.effect) - Math.abs(one.effect));
  return ordered.filter((part) => Math.abs(part.effect) >= SHOWN).slice(0, STRONGEST).map((part) => {
    const shown = word(part).length > 40 ? `${word(part).slice(0, 39)}…` : word(part);
    const how = part.effect > 0 ? "for" : "against";
    const change = ` ${how}: ${percent(explained.probability)}, without it ${percent(part.without)}`;
    return element("li", {}, element("strong", { textContent: shown }), change);
  });
}
