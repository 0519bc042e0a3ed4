"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const cases = new Map(data.cases.map((one) => [one.id, one]));
const rows = [...document.querySelectorAll("tr[data-case]")];

function list(pairs) {
  const dl = document.createElement("dl");
  for (const [name, text] of pairs) {
    if (!text) continue;
    dl.append(Object.assign(document.createElement("dt"), { textContent: name }));
    const dd = document.createElement("dd");
    dd.append(text);
    dl.append(dd);
  }
  return dl;
}

function rule(section) {
  const [, rfc, number] = section.match(/^RFC (\d+) ([\d.]+)$/) ?? [];
  if (!number) return section;
  const href = `https://www.rfc-editor.org/rfc/rfc${rfc}#section-${number}`;
  return Object.assign(document.createElement("a"), { textContent: `RFC ${rfc} section ${number}`, href });
}

function shut(row) {
  row.querySelectorAll("[aria-expanded]").forEach((one) => one.removeAttribute("aria-expanded"));
  if (row.nextElementSibling?.classList.contains("detail")) row.nextElementSibling.remove();
}

function show(row, button, backend) {
  const again = button.getAttribute("aria-expanded") === "true";
  shut(row);
  if (again) return;
  button.setAttribute("aria-expanded", "true");
  const one = cases.get(row.dataset.case);
  const result = data.results[backend]?.[one.id];
  const detail = document.createElement("tr");
  detail.className = "detail";
  const cell = detail.insertCell();
  cell.colSpan = data.backends.length + 1;
  cell.append(list([
    ["case", `${one.id} (${one.level}${one.feature ? "; needs " + one.feature : ""})`],
    ["rule", rule(one.section)],
    ["does", one.description],
    ["expected", one.expectation],
    ["backend", backend],
    ["verdict", result ? result.verdict : "not run"],
    ["came", result && (result.message || (result.verdict === "passed" ? "as expected" : ""))],
    ["reason", result && result.reason],
    ["delivery", result && result.delivery],
    ["took", result && `${result.seconds} s`],
  ]));
  if (result && result.log.length) {
    cell.append(Object.assign(document.createElement("pre"), { textContent: result.log.join("\n"), tabIndex: 0 }));
  }
  row.after(detail);
}

function filter() {
  const words = document.getElementById("find").value.toLowerCase();
  const odd = document.getElementById("odd").checked;
  for (const row of rows) {
    const strange = row.querySelector(".verdict:not(.passed)") !== null;
    row.hidden = !(row.dataset.case.includes(words) && (!odd || strange));
    if (row.hidden) shut(row);
  }
  for (const area of document.querySelectorAll(".area")) {
    const left = area.querySelector("tr[data-case]:not([hidden])") !== null;
    area.hidden = !left;
    if (left && (words || odd)) area.open = true;
  }
}

document.querySelector("main").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const row = button?.closest("tr[data-case]");
  if (row) show(row, button, button.dataset.backend ?? data.backends[0].name);
});
document.getElementById("find").addEventListener("input", filter);
document.getElementById("odd").addEventListener("change", filter);

// "#case-id" opens that case: a link to a single one.
const wanted = rows.find((row) => row.dataset.case === decodeURIComponent(location.hash.slice(1)));
if (wanted) {
  wanted.closest("details").open = true;
  (wanted.querySelector(".verdict:not(.passed)") ?? wanted.querySelector("button")).click();
  wanted.scrollIntoView();
}
