// CSV as RFC 4180 describes it: quotes, doubled quotes, line breaks in cells; commas, semicolons or tabs.

export function parseCsv(text) {
  text = text.replace(/^\uFEFF/, "");
  const delimiter = delimiterOf(text);
  const rows = [];
  let row = [];
  let place = 0;
  while (place <= text.length) {
    let cell = "";
    if (text[place] === '"') {
      const end = closingQuote(text, place + 1);
      cell = text.slice(place + 1, end).replaceAll('""', '"');
      place = end + 1;
    }
    const rest = nextBreak(text, place, delimiter);
    cell += text.slice(place, rest);
    row.push(cell);
    const mark = text[rest];
    place = rest + (mark === "\r" && text[rest + 1] === "\n" ? 2 : 1);
    if (mark === delimiter) continue;
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
  }
  return { rows, delimiter };
}

function closingQuote(text, place) {
  for (;;) {
    const quote = text.indexOf('"', place);
    if (quote < 0) return text.length;
    if (text[quote + 1] !== '"') return quote;
    place = quote + 2;
  }
}

function nextBreak(text, place, delimiter) {
  while (place < text.length && text[place] !== delimiter && text[place] !== "\n" && text[place] !== "\r") place += 1;
  return place;
}

// The mark that is most frequent in the first line, outside quotes.
function delimiterOf(text) {
  const line = text.replace(/"(?:[^"]|"")*"/g, "").split(/\r?\n/, 1)[0];
  const count = (mark) => line.split(mark).length;
  return [",", ";", "\t"].reduce((best, mark) => (count(mark) > count(best) ? mark : best));
}

export function formatCsv(rows, delimiter) {
  const special = new RegExp(`["\\r\\n${delimiter}]`);
  const cell = (value) => (special.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return rows.map((row) => row.map((value) => cell(String(value))).join(delimiter) + "\r\n").join("");
}
