"use strict";
// The figures of one task. The page holds specifications and packed numbers; here they meet.

const figures = { task: 0, chosen: [], window: 0, turns: {}, views: {} };
const drawn = () => report.tasks[figures.task].figures;
const taskRows = () => report.rows.filter((row) => row.task === figures.task);
const palette = () => report.palette[isDark() ? "dark" : "light"];
const cssValue = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// {low, step, data}: whole numbers of 16 bits in base64, -32768 where there is none
function unpack({ low, step, data }) {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / 2 }, (_, index) => {
    const number = view.getInt16(2 * index, true);
    return number === -32768 ? null : low + step * number;
  });
}

function unpackWindow(packed, window, count) {
  const values = unpack(packed);
  const length = values.length / count;
  return values.slice(window * length, (window + 1) * length);
}

function themeConfig(width) {
  const [ink, muted, line] = ["--ink", "--muted", "--line"].map(cssValue);
  const font = getComputedStyle(document.body).fontFamily;
  const texts = { labelColor: muted, titleColor: muted, labelFontSize: 11, titleFontSize: 12, titleFontWeight: 500 };
  return {
    background: null,
    font,
    view: { stroke: null },
    axis: { ...texts, gridColor: line, domainColor: line, tickColor: line },
    legend: { ...texts, labelColor: ink, labelFontSize: 12, columns: Math.max(1, Math.floor(width / 150)) },
    text: { color: ink },
    rule: { color: ink },
  };
}

// What beside its colour tells a series apart goes with the colour.
function setLooks(encoding, colours) {
  for (const look of report.looks.filter((look) => encoding?.[look])) {
    const scale = (encoding[look].scale = { ...encoding[look].scale, domain: Object.keys(colours) });
    if (scale.range) scale.range = Object.values(colours).map((colour) => scale.range[palette().indexOf(colour)]);
  }
}

// What a figure shows, for who hears it.
function described(kind, told) {
  const heading = byId(`card-${kind}`).querySelector("h3").textContent;
  return [heading, report.tasks[figures.task].label, told].join(", ");
}

function lowest(rows, name, summary) {
  const values = {};
  for (const row of rows) if (row.value !== null) (values[row[name]] ??= []).push(row.value);
  const found = Object.entries(values).map(([label, list]) => [label, summary(list)]);
  const [label, value] = found.reduce((one, other) => (other[1] < one[1] ? other : one), ["none", Infinity]);
  return `lowest: ${label}${value < Infinity ? `, ${value.toPrecision(3)}` : ""}`;
}

const least = (list) => list.reduce((one, other) => Math.min(one, other));
const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;

function draw(kind, rows, colours, told, titles = {}) {
  byId(`card-${kind}`).hidden = rows.length === 0;
  if (rows.length === 0) return;
  const box = byId(kind);
  const spec = structuredClone(report.charts[kind]);
  const count = {};
  for (const { series } of rows) count[series] = (count[series] ?? 0) + 1;
  rows = rows.map((row) => ({ ...row, alone: count[row.series] === 1 })); // no line goes through one point
  spec.datasets = { rows };
  const isNeeded = ({ transform: [{ filter }] = [{ filter: "" }] }) => !filter.field || rows.some((row) => row[filter.field] === filter.equal);
  if (spec.layer) spec.layer = spec.layer.filter(isNeeded); // of no row it would warn of a scale without end
  spec.description = described(kind, told);
  spec.encoding.color.scale = { domain: Object.keys(colours), range: Object.values(colours) };
  for (const { encoding } of [spec, ...(spec.layer ?? [])]) setLooks(encoding, colours);
  for (const parameter of spec.params ?? []) parameter.value = drawn().season;
  for (const [axis, title] of Object.entries(titles)) spec.encoding[axis].title = title;
  spec.width = box.clientWidth;
  if (spec.height.step) spec.height = Math.max(300, spec.height.step * new Set(rows.map((row) => row.channel)).size);
  spec.autosize = { type: "fit-x", contains: "padding" };
  embed(kind, spec);
}

async function embed(kind, spec) {
  const box = byId(kind);
  const turn = (figures.turns[kind] = (figures.turns[kind] ?? 0) + 1);
  const inside = make("div");
  const config = themeConfig(box.clientWidth);
  const options = { mode: "vega-lite", renderer: "svg", actions: false, defaultStyle: false, config, tooltip: showTooltip };
  const result = await vegaEmbed(inside, spec, options);
  if (turn !== figures.turns[kind]) return result.finalize(); // a later drawing has begun
  figures.views[kind]?.finalize();
  figures.views[kind] = result;
  box.replaceChildren(inside);
}

function showTooltip(_, event, __, value) {
  const tooltip = byId("tooltip");
  tooltip.hidden = value === null || value === undefined || value === "";
  if (tooltip.hidden) return;
  const lines = Object.entries(value).map(([name, text]) => make("div", {}, make("span", {}, name), make("span", {}, String(text))));
  tooltip.replaceChildren(...lines);
  const left = Math.min(event.clientX + 14, innerWidth - tooltip.offsetWidth - 8);
  tooltip.style.left = `${Math.max(8, left)}px`;
  tooltip.style.top = `${Math.min(event.clientY + 14, innerHeight - tooltip.offsetHeight - 8)}px`;
}

// The models that are drawn keep their colour until they are taken out.
function colourOf(label) {
  const found = figures.chosen.find((each) => each.label === label);
  return palette()[found ? found.colour : 0];
}

function choose(label) {
  const used = new Set(figures.chosen.map((each) => each.colour));
  const colour = palette().findIndex((_, index) => !used.has(index));
  if (colour >= 0) figures.chosen.push({ label, colour });
}

function chosenModels() {
  return figures.chosen.map(({ label }) => drawn().models.find((model) => model.label === label));
}

function coloursOf(models) {
  return Object.fromEntries(models.map((model) => [model.label, colourOf(model.label)]));
}

function showChips() {
  const chips = drawn().models.map(({ label }) => {
    const isChosen = figures.chosen.some((each) => each.label === label);
    const isFull = !isChosen && figures.chosen.length === palette().length;
    const chip = make("button", { type: "button", "aria-pressed": String(isChosen), disabled: isFull, title: label }, make("span", {}, label));
    if (isChosen) chip.style.setProperty("--colour", colourOf(label));
    chip.addEventListener("click", () => {
      if (isChosen) figures.chosen = figures.chosen.filter((each) => each.label !== label);
      else choose(label);
      showFigures();
      [...byId("models").children].find((each) => each.title === label).focus();
    });
    return chip;
  });
  byId("models").replaceChildren(...chips);
}

function drawErrors() {
  const metric = byId("metric").value;
  const models = chosenModels();
  const { steps, channels, all_channels: all } = drawn();
  const rowsOf = (key, names, field) =>
    models.flatMap((model) => model[key][metric].map((value, index) => ({ [field]: names[index], value, series: model.label })));
  const title = `${metric.toUpperCase()}, scaled series`;
  const [bySteps, byChannels] = [rowsOf("by_step", steps, "step"), rowsOf("by_channel", channels, "channel")];
  draw("steps", bySteps, coloursOf(models), `${title}, ${lowest(bySteps, "series", mean)} on average`, { y: title });
  draw("channels", byChannels, coloursOf(models), `${title}, ${lowest(byChannels, "series", mean)} on average`, { x: title });
  byId("channels-caption").textContent =
    channels.length < all ? `${channels.length} of ${all} channels, spread evenly from the easiest to the hardest.` : "";
}

function drawTraining() {
  const column = Number(byId("curve").value);
  const curves = chosenModels().flatMap((model) => model.curves.map((curve) => ({ ...curve, colour: colourOf(model.label) })));
  const rows = curves.flatMap(({ label, best_epoch, epochs }) =>
    epochs.map((epoch) => ({ epoch: epoch[0], value: epoch[column], series: label, kept: epoch[0] === best_epoch })),
  );
  const colours = Object.fromEntries(curves.map(({ label, colour }) => [label, colour]));
  const title = column === 1 ? "validation MSE" : "training loss, each model's own";
  draw("training", rows, colours, `${title}, ${lowest(rows, "series", least)}`, { y: title });
  byId("training-caption").textContent = "First seed of each model; the large dot is the epoch whose weights were kept. An ensemble has a curve of each member, all in its colour. What is not trained by gradient has no curve.";
}

// Common windows of all, then the focus model's own best, median and worst.
function windowsOf(model) {
  const { common } = drawn();
  const shared = model.shared ? common.kind.map((_, index) => ({ set: common, index, common: true })) : [];
  return [...shared, ...model.extremes.kind.map((_, index) => ({ set: model.extremes, index, common: false }))];
}

function ownNumber(model, { index, common }) {
  return common ? index : model.mse.length - model.extremes.kind.length + index;
}

function windowTitle(model, window, channel) {
  const { set, index, common } = window;
  const kind = common ? `Common window ${index + 1} of ${set.kind.length}` : `${set.kind[index][0].toUpperCase()}${set.kind[index].slice(1)} window of ${model.label}`;
  const time = set.time[index] ? `from ${set.time[index].replace("T", " ").replace(/:00$/, "")}` : "";
  const row = `row ${set.first_row[index].toLocaleString("en")}`;
  const error = model.mse[ownNumber(model, window)][channel];
  const mse = error === null ? "" : `MSE of ${model.label} on this channel ${error.toPrecision(3)}, scaled`;
  return [kind, time, row, mse].filter(Boolean).join(" · ");
}

function drawForecasts() {
  const usable = drawn().models.filter((model) => windowsOf(model).length);
  byId("card-forecasts").hidden = usable.length === 0;
  if (usable.length === 0) return;
  const chosen = figures.chosen.map(({ label }) => label);
  const first = usable.find((model) => chosen.includes(model.label)) ?? usable[0];
  fillSelectOnce("focus", usable.map((model) => [model.label, model.label]), first.label);
  fillSelectOnce("channel", drawn().window_channels.map((name, index) => [index, name]));
  const focus = usable.find((model) => model.label === byId("focus").value);
  const windows = windowsOf(focus);
  figures.window = (figures.window + windows.length) % windows.length;
  const window = windows[figures.window];
  const channel = Number(byId("channel").value);
  byId("window").textContent = windowTitle(focus, window, channel);
  const others = window.common ? chosenModels().filter((model) => model.shared && model !== focus) : [];
  const { set, index } = window;
  const truth = [
    ...unpackWindow(set.history[channel], index, set.kind.length).map((value, at) => ({ step: set.past[at], value, series: report.truth })),
    ...unpackWindow(set.target[channel], index, set.kind.length).map((value, at) => ({ step: drawn().steps[at], value, series: report.truth })),
  ];
  const rows = [...truth, ...[...others, focus].flatMap((model) => forecastRows(model, window, channel, model === focus))];
  const band = focus.low ? { [report.interval + focus.label]: colourOf(focus.label) } : {};
  const colours = { [report.truth]: cssValue("--ink"), ...coloursOf([focus]), ...band, ...coloursOf(others) };
  const name = drawn().window_channels[channel];
  draw("forecasts", rows, colours, `${name}, ${byId("window").textContent}`, { y: `${name}, unscaled` });
}

function forecastRows(model, window, channel, withBand) {
  const number = ownNumber(model, window);
  const part = (key) => unpackWindow(model[key][channel], number, model.mse.length);
  const rows = part("forecast").map((value, at) => ({ step: drawn().steps[at], value, series: model.label }));
  if (!withBand || !model.low) return rows;
  const [low, high] = [part("low"), part("high")];
  const band = low.map((end, at) => ({ step: drawn().steps[at], low: end, high: high[at], series: report.interval + model.label }));
  return [...band, ...rows];
}

function fillSelectOnce(id, options, preferred) {
  const select = byId(id);
  const key = JSON.stringify([figures.task, options]);
  if (select.dataset.options === key) return;
  select.dataset.options = key;
  fillSelect(select, options);
  if (preferred !== undefined) select.value = preferred;
}

function drawCosts() {
  const key = byId("cost").value;
  const title = report.columns[place[key]].help;
  const isRoomy = byId("card-costs").clientWidth >= report.room; // for the places that were found for names
  const points = taskRows().filter((row) => row.costs[key]).map((row) => {
    const [cost, role, place] = row.costs[key];
    const [x, y, far] = (isRoomy && place) || [0, -7, false];
    const named = isRoomy ? place !== null : role === "front";
    return {
      model: row.label, series: row.family, cost: cost || null, role, named, far, x, y,
      value: cellOf(row, "mse")[0], error: cellOf(row, "mse")[1].split("±")[0], shown: cellOf(row, key)[1],
    };
  });
  const of = (...roles) => points.filter(({ role }) => roles.includes(role));
  const rows = of("front", "near");
  const families = [...new Set(taskRows().map((row) => row.family))].sort();
  const colours = families.map((family, index) => [family, palette()[index]]);
  const isDrawn = ([family]) => rows.some((row) => row.series === family);
  const told = `MSE by ${title}, ${lowest(rows, "model", least)}`;
  draw("costs", rows.length ? [...rows, ...of("level")] : [], Object.fromEntries(colours.filter(isDrawn)), told, { x: title });
  const named = (text, list) => (list.length ? [`${text}: ${list.map((point) => `${point.model} ${point.error}`).join(", ")}.`] : []);
  byId("costs-caption").textContent = [
    ...(of("front").length > 1 ? ["The dashed line joins what no cheaper model beats."] : []),
    ...named("The dotted line is the best of what is free", of("level")),
    ...named("Not shown, worse", of("worse")),
    ...named("Not shown, free", of("free")),
    ...named("Shown without a name", rows.filter((row) => !row.named)),
  ].join(" ");
}

const OF_RUNS = ["steps", "channels", "forecasts", "training"]; // figures that a row alone does not make

function showFigures() {
  const isThere = drawn() !== null;
  byId("models").hidden = !isThere;
  byId("no-figures").hidden = isThere;
  byId("no-figures").textContent = report.tasks[figures.task].no_figures;
  for (const kind of OF_RUNS) byId(`card-${kind}`).hidden = !isThere;
  drawCosts();
  if (!isThere) return;
  showChips();
  drawErrors();
  drawForecasts();
  drawTraining();
}

function showTask(number) {
  figures.task = number;
  figures.chosen = [];
  byId("task").value = number;
  if (drawn()) {
    const { models } = drawn();
    const naive = models.find((model) => model.naive);
    for (const model of new Set([...models.slice(0, 4), ...(naive ? [naive] : [])])) choose(model.label);
  }
  showFigures();
  showPublished(report.tasks[number]);
}

function showPublished(task) {
  const [done] = task.rows;
  const none = done ? `Nobody's figures for ${task.label} are in the table of published ones.` : `No run of ${task.label} is done.`;
  byId("published-task").textContent = task.published.length ? task.label : none;
  byId("published-tables").replaceChildren(
    ...task.published.flatMap((table) => [
      make("h3", {}, table.title),
      ...table.intro.map((line) => make("p", { class: "lead" }, line)),
      make("div", { class: "box plain", tabindex: "0", role: "region", "aria-label": `${table.title}, scrolls` }, plainTable(table)),
      make("ul", { class: "notes" }, ...table.notes.map((note) => make("li", {}, note))),
    ]),
  );
}

function plainTable({ columns, rows }) {
  const kind = (index) => ({ class: columns[index].number ? "number" : "" });
  const head = columns.map((column, index) => make("th", { scope: "col", ...kind(index) }, column.title));
  const body = rows.map((row) => make("tr", {}, ...row.map((text, index) => make("td", kind(index), text))));
  return make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
}

function saveButton(kind) {
  const button = make("button", { type: "button", class: "save", title: "Save this figure as SVG" }, "SVG");
  button.addEventListener("click", async () => {
    const href = await figures.views[kind].view.toImageURL("svg");
    make("a", { href, download: `${kind}.svg` }).click();
  });
  return button;
}

function step(by) {
  figures.window += by;
  drawForecasts();
}

function startFigures() {
  document.body.append(make("div", { id: "tooltip", hidden: true, role: "status" }));
  for (const kind of Object.keys(report.charts)) byId(`card-${kind}`).querySelector("header").append(saveButton(kind));
  fillSelect(byId("task"), report.tasks.map((task, index) => [index, task.label]));
  fillSelect(byId("cost"), report.costs.map((key) => [key, report.columns[place[key]].title]));
  byId("task").addEventListener("change", () => showTask(Number(byId("task").value)));
  byId("metric").addEventListener("change", drawErrors);
  byId("curve").addEventListener("change", drawTraining);
  byId("cost").addEventListener("change", drawCosts);
  for (const id of ["focus", "channel"]) byId(id).addEventListener("change", drawForecasts);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("card-forecasts").addEventListener("keydown", (event) => {
    if (event.target.tagName === "SELECT" || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    step(event.key === "ArrowRight" ? 1 : -1);
  });
  const showAll = () => {
    showFigures();
    if (report.ranks) embed("ranks", report.ranks);
  };
  document.addEventListener("themechange", showAll);
  document.addEventListener("tableshown", ({ detail: tasks }) => {
    if (tasks.length && !tasks.includes(figures.task)) showTask(tasks[0]);
  });
  let width = innerWidth;
  let pending;
  addEventListener("resize", () => {
    if (innerWidth === width) return; // a phone's address bar changes the height alone
    width = innerWidth;
    clearTimeout(pending);
    pending = setTimeout(showFigures, 150);
  });
  if (report.tasks.length) showTask(0);
  if (report.ranks) embed("ranks", report.ranks);
}

startFigures();
startTable();
