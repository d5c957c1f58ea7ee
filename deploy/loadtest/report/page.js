"use strict";
(() => {
  const data = document.getElementById("data");
  if (!data || !window.DecompressionStream) return;
  const PER_PAGE = matchMedia("(max-width: 640px)").matches ? 12 : 50;
  const NAMES = ["number", "event_id", "kind", "listing", "revision", "at_s", "ending", "latency_ms", "place", "flags"];
  const HEADS = ["number", "event", "kind", "listing", "revision", "at", "ended as", "latency", "place", "flags"];
  const NUMBERS = new Set(["number", "revision", "at_s", "latency_ms"]);
  const at = (id) => document.getElementById(id);
  let columns = {}, found = [], page = 0;

  const unpacked = async () => {
    const bytes = Uint8Array.from(atob(data.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };

  const choices = (select, words) => {
    const counts = new Map();
    for (const some of words) for (const word of some) counts.set(word, (counts.get(word) || 0) + 1);
    for (const [word, count] of [...counts].sort((a, b) => b[1] - a[1])) {
      select.append(new Option(`${word.replaceAll("_", " ")} (${count.toLocaleString("en")})`, word));
    }
  };

  const shown = (name, value) => {
    if (value === null || value === undefined) return "–";
    if (name === "latency_ms") return value < 1000 ? `${Number(value.toPrecision(3))} ms` : `${(value / 1000).toFixed(2)} s`;
    if (name === "at_s") return `${value.toFixed(2)} s`;
    if (name === "number") return value < 0 ? "–" : value.toLocaleString("en");
    return name === "ending" || name === "kind" ? value.replaceAll("_", " ") : String(value);
  };

  const show = () => {
    const first = page * PER_PAGE, rows = found.slice(first, first + PER_PAGE);
    at("rows").replaceChildren(...rows.map((row) => {
      const line = document.createElement("tr");
      NAMES.forEach((name, index) => {
        const cell = line.insertCell();
        // Text, never markup: an event id may contain anything.
        cell.textContent = shown(name, columns[name][row]);
        cell.dataset.label = HEADS[index];
        if (NUMBERS.has(name)) cell.className = "n";
      });
      return line;
    }));
    const count = (number) => number.toLocaleString("en");
    const state = found.length ? `${count(first + 1)} to ${count(first + rows.length)} of ${count(found.length)}` : "no such event";
    at("state").textContent = state;
    at("back").disabled = page === 0;
    at("on").disabled = first + PER_PAGE >= found.length;
  };

  const choose = () => {
    const wanted = at("find").value.trim().toLowerCase(), ending = at("ending").value, flag = at("flag").value;
    const number = wanted.replaceAll(",", "");
    const texts = [columns.event_id, columns.listing, columns.place];
    found = [];
    for (let row = 0; row < columns.number.length; row++) {
      if (ending && columns.ending[row] !== ending) continue;
      if (flag && !columns.flags[row].split(" ").includes(flag)) continue;
      if (wanted && String(columns.number[row]) !== number && !texts.some((one) => one[row].toLowerCase().includes(wanted))) continue;
      found.push(row);
    }
    // What was never answered took longest of all.
    const slow = (row) => columns.latency_ms[row] ?? Infinity;
    if (at("order").value === "slow") found.sort((a, b) => slow(b) - slow(a) || a - b);
    page = 0;
    show();
  };

  const begin = (unpackedColumns) => {
    columns = unpackedColumns;
    for (const name of NAMES) columns[name] ??= [];
    choices(at("ending"), columns.ending.map((word) => [word]));
    choices(at("flag"), columns.flags.map((words) => words.split(" ").filter(Boolean)));
    let timer = 0;
    at("find").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(choose, 150); });
    for (const id of ["ending", "flag", "order"]) at(id).addEventListener("change", choose);
    at("back").addEventListener("click", () => { page -= 1; show(); });
    at("on").addEventListener("click", () => { page += 1; show(); });
    at("browser").hidden = false;
    document.body.classList.add("with-script");
    choose();
  };
  unpacked().then(begin);
})();
