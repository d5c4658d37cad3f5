"use strict";
// The leaderboard: filters, sorting by a click or a key on a header, a row's command.
// A cell is [what it is sorted by, its text, a mark, what is told of it].

const place = Object.fromEntries(report.columns.map((column, index) => [column.key, index]));
const filters = { dataset: byId("filter-dataset"), horizon: byId("filter-horizon"), family: byId("filter-family") };
const sorting = { column: null, ascending: true };
const cellOf = (row, key) => row.cells[place[key]];

for (const row of report.rows) {
  row.text = row.cells.map((cell) => cell[1]).join(" ").toLowerCase();
}

function chosenRows() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = Object.entries(filters).filter(([, select]) => select.value !== "");
  return report.rows.filter(
    (row) =>
      wanted.every(([key, select]) => String(cellOf(row, key)[0]) === select.value) &&
      words.every((word) => row.text.includes(word)),
  );
}

function compareCells(one, other) {
  if (one === null || other === null) return (one === null) - (other === null);
  return typeof one === "number" ? one - other : one.localeCompare(other);
}

function sorted(rows) {
  if (sorting.column === null) return rows; // by data set, horizon and rank, as they come
  const index = place[sorting.column];
  const sign = sorting.ascending ? 1 : -1;
  return [...rows].sort((a, b) => {
    const [one, other] = [a.cells[index][0], b.cells[index][0]];
    const missing = one === null || other === null; // last in either direction
    return (missing ? 1 : sign) * compareCells(one, other);
  });
}

function visibleColumns(rows) {
  const single = (key) => new Set(rows.map((row) => cellOf(row, key)[0])).size < 2;
  return report.columns.filter(({ key }) => {
    if (key === "dataset" || key === "horizon") return !single(key);
    return rows.some((row) => cellOf(row, key)[0] !== null);
  });
}

function headerCell(column, spread) {
  const order = sorting.column !== column.key ? "none" : sorting.ascending ? "ascending" : "descending";
  const button = make("button", { type: "button", title: column.help }, column.title);
  button.addEventListener("click", () => {
    sorting.ascending = sorting.column === column.key ? !sorting.ascending : true;
    sorting.column = column.key;
    showTable();
    byId("table").querySelector(`th[data-key="${column.key}"] button`).focus();
  });
  const kind = [column.number && "number", column.key === "name" && "model"].filter(Boolean).join(" ");
  return make("th", { scope: "col", class: kind, "aria-sort": order, "data-key": column.key }, ...withSpread(button, "", spread));
}

const spreadOf = (text) => text.slice(text.split("±")[0].length);

// A mean and its spread each in a column of their own, so that means stand below each other.
// The title has an empty one. In `ch`, the width of a digit, it fits on paper, too.
function withSpread(mean, spread, width) {
  if (!width) return [mean];
  const span = make("span", { class: "spread" }, spread);
  span.style.width = `${width}ch`;
  return [mean, span];
}

function bodyRow(row, columns, spreads, isOther) {
  const starts = sorting.column === null && isOther; // ranks begin anew: a rule stands between
  const line = make("tr", { class: starts && "starts" });
  for (const { key, number } of columns) {
    const [value, text, mark, told] = cellOf(row, key);
    const tie = key === "vs_best" && text.endsWith("≈");
    const kind = [number && "number", mark, tie && "tie", key === "name" && "model"].filter(Boolean).join(" ");
    const spread = spreads[key] ? spreadOf(text) : "";
    let content = text.slice(0, text.length - spread.length);
    if (key === "name") {
      content = make("button", { type: "button", "aria-expanded": "false", title: value }, text);
      content.addEventListener("click", () => toggleMore(row, line, content, columns.length));
    }
    line.append(make("td", { class: kind, title: told }, ...withSpread(content, spread, spreads[key])));
  }
  return line;
}

function toggleMore(row, line, button, span) {
  const isOpen = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!isOpen));
  if (isOpen) line.nextElementSibling.remove();
  else line.after(make("tr", { class: "more" }, make("td", { colspan: span }, moreOf(row))));
}

function moreOf(row) {
  const inside = make("div", { class: "more-inside" });
  if (row.commands.length) {
    const text = row.commands.join("\n");
    const copy = make("button", { type: "button" }, "Copy");
    copy.addEventListener("click", async () => {
      await copyText(text, inside);
      copy.textContent = "Copied";
    });
    inside.append(make("pre", {}, text), copy);
  } else {
    inside.append(make("p", {}, "This version reads no configuration of it that could be repeated."));
  }
  const interval = cellOf(row, "vs_best")[3];
  if (interval) inside.append(make("p", {}, `MSE less the best one's: ${cellOf(row, "vs_best")[1]}, ${interval}`));
  inside.append(make("p", {}, `Run folder: ${row.runs.join(", ")}`));
  return inside;
}

async function copyText(text, near) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = make("textarea", { readonly: true }); // a file from a disk may have no clipboard
  field.value = text;
  near.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

// Of every task that the filters leave, one that has no other row among them.
function chosenFailures() {
  const fits = (key, value) => filters[key].value === "" || filters[key].value === String(value);
  const chosen = report.tasks.filter(({ dataset, horizon }) => fits("dataset", dataset) && fits("horizon", horizon));
  const title = ({ label }) => (chosen.length > 1 ? `${label}: ` : "");
  return chosen.flatMap((task) => task.failures.map((failure) => title(task) + failure));
}

// Of each task that has rows in the table; its name is told where there are several.
function showNotes(tasks) {
  const noted = tasks.map((number) => report.tasks[number]).filter(({ notes }) => notes.length);
  const list = (notes) => notes.map((note) => make("li", {}, note));
  const items = noted.flatMap(({ label, notes }) => (tasks.length === 1 ? list(notes) : [make("li", {}, label, make("ul", {}, ...list(notes)))]));
  const count = noted.reduce((sum, { notes }) => sum + notes.length, 0);
  byId("table-notes").replaceChildren(...items);
  byId("notes").hidden = count === 0;
  byId("notes-count").textContent = `Notes on these rows (${count})`;
}

function showTable() {
  const rows = chosenRows();
  const columns = visibleColumns(rows);
  const table = byId("table");
  const longest = ({ key }) => rows.reduce((most, row) => Math.max(most, spreadOf(cellOf(row, key)[1]).length), 0);
  const spreads = Object.fromEntries(columns.map((column) => [column.key, column.number ? longest(column) : 0]));
  table.tHead.replaceChildren(make("tr", {}, ...columns.map((column) => headerCell(column, spreads[column.key]))));
  table.tBodies[0].replaceChildren(...sorted(rows).map((row, at, all) => bodyRow(row, columns, spreads, at > 0 && row.task !== all[at - 1].task)));
  byId("count").textContent = `${rows.length.toLocaleString("en")} of ${report.rows.length.toLocaleString("en")} rows`;
  const tasks = [...new Set(rows.map((row) => row.task))];
  showNotes(tasks);
  byId("table-failures").replaceChildren(...chosenFailures().map((failure) => make("li", {}, failure)));
  document.dispatchEvent(new CustomEvent("tableshown", { detail: tasks }));
}

function fillFilter(key, rows) {
  const values = [...new Set(rows.map((row) => cellOf(row, key)[0]))].sort(compareCells);
  fillSelect(filters[key], [["", "all"], ...values.map((value) => [value, String(value)])]);
}

function startTable() {
  for (const key of Object.keys(filters)) {
    fillFilter(key, report.rows);
    filters[key].addEventListener("change", () => {
      if (key === "dataset") {
        const { value } = filters.dataset;
        fillFilter("horizon", report.rows.filter((row) => value === "" || cellOf(row, "dataset")[0] === value));
      }
      showTable();
    });
  }
  byId("search").addEventListener("input", showTable);
  addEventListener("beforeprint", () => (byId("notes").open = true));
  const box = byId("table-box");
  new ResizeObserver(() => box.style.setProperty("--box-width", `${box.clientWidth}px`)).observe(box);
  showTable();
}
