"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = table.tHead.rows[table.tHead.rows.length - 1].cells;
  for (const [column, head] of [...heads].entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "descending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "ascending" : "descending");
      const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const number = text => (text !== "" && isFinite(text) ? Number(text) : null);
      const rows = [...table.tBodies[0].rows].map((row, at) => ({ row, at, key: value(row) }));
      rows.sort((a, b) => {
        const x = number(a.key), y = number(b.key);
        const order = x !== null && y !== null ? x - y
          : x === null && y === null ? a.key.localeCompare(b.key, "en", { numeric: true })
          : x === null ? -1 : 1;
        return (down ? order : -order) || a.at - b.at;
      });
      table.tBodies[0].append(...rows.map(one => one.row));
    });
  }
}
const tip = document.getElementById("tip");
for (const chart of document.querySelectorAll("svg[data-chart]")) {
  const data = JSON.parse(chart.dataset.chart);
  const cursor = chart.querySelector(".cursor");
  chart.addEventListener("pointermove", event => {
    const box = chart.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * data.width;
    tip.replaceChildren();
    let place = null;
    for (const one of data.series) {
      if (!one.x.length) continue;
      let at = 0;
      for (let i = 1; i < one.x.length; i++) if (Math.abs(one.x[i] - x) < Math.abs(one.x[at] - x)) at = i;
      if (place === null) {
        place = one.x[at];
        const head = document.createElement("b");
        head.textContent = one.at[at];
        tip.append(head);
      }
      const line = document.createElement("div");
      const dot = document.createElement("i");
      dot.style.background = one.colour;
      line.append(dot, `${one.name} `, Object.assign(document.createElement("span"), { textContent: one.y[at] }));
      tip.append(line);
    }
    if (place === null) return;
    cursor.setAttribute("x1", place);
    cursor.setAttribute("x2", place);
    cursor.setAttribute("visibility", "visible");
    tip.hidden = false;
    const right = event.clientX + 16 + tip.offsetWidth > innerWidth;
    tip.style.left = `${right ? event.clientX - 16 - tip.offsetWidth : event.clientX + 16}px`;
    tip.style.top = `${event.clientY + 14}px`;
  });
  chart.addEventListener("pointerleave", () => {
    tip.hidden = true;
    cursor.setAttribute("visibility", "hidden");
  });
}
