// Long tables get a box that filters their rows, and sort by a column when its head is clicked.
const LONG = 20;

function equip(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const box = document.createElement("input");
  const count = document.createElement("output");
  const bar = document.createElement("div");
  box.type = "search";
  box.placeholder = "Search this table";
  box.setAttribute("aria-label", "Search this table");
  bar.className = "table-search";
  bar.append(box, count);
  (table.closest(".table-wrapper") || table).before(bar);

  const filter = () => {
    const words = box.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of rows) {
      const text = [...row.cells].map((cell) => cell.textContent.toLowerCase()).join(" ");
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = `${shown} of ${rows.length} rows`;
  };
  box.addEventListener("input", filter);
  filter();

  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const text = (row) => row.cells[column].textContent;
      rows.sort((a, b) => (down ? -1 : 1) * text(a).localeCompare(text(b), "en", { numeric: true }));
      body.append(...rows);
    });
  });
}

document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("article table")) {
    if (table.tHead && table.tBodies[0].rows.length > LONG) equip(table);
  }
});
