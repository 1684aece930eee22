// A layered layout, from top to bottom, of items and the arrows between them.
//
// Sugiyama's four steps: ranks by the longest path; dummy cells where arrows pass a rank; an order in each rank by the
// mean of the neighbours; x by least squares.  Modules are laid out from the inside out, each as one block of its parent,
// so that frames never overlap.
"use strict";

const GAP = { x: 26, y: 38, pass: 18 };

// items: [{width, height, key}]; edges: [[from, to]], indices into items. Sets x, y (the top left corner) of every item;
// returns {width, height, routes}, where routes[e] are the points of edge e between its ends.
function layered(items, edges) {
  const ranks = rankOf(items, edges);
  const cells = items.map((item, i) => ({ item, width: item.width, height: item.height, rank: ranks[i], next: [], last: [] }));
  const chains = edges.map(([from, to]) => {
    const chain = [cells[from]];
    for (let r = ranks[from] + 1; r < ranks[to]; r += 1) {
      const passing = { item: null, width: GAP.pass, height: 0, rank: r, next: [], last: [] };
      cells.push(passing);
      chain.push(passing);
    }
    chain.push(cells[to]);
    for (let i = 1; i < chain.length; i += 1) {
      chain[i - 1].next.push(chain[i]);
      chain[i].last.push(chain[i - 1]);
    }
    return chain;
  });
  const rows = [];
  for (const cell of cells) (rows[cell.rank] ||= []).push(cell);
  order(rows);
  place(rows);
  let y = 0;
  for (const row of rows) {
    const height = Math.max(...row.map((cell) => cell.height));
    for (const cell of row) {
      cell.y = y + (height - cell.height) / 2;
      Object.assign(cell, { top: y, bottom: y + height });
    }
    y += height + GAP.y;
  }
  const left = Math.min(...cells.map((cell) => cell.x - cell.width / 2));
  for (const cell of cells) {
    cell.x -= left;
    if (cell.item) Object.assign(cell.item, { x: cell.x - cell.width / 2, y: cell.y, top: cell.top, bottom: cell.bottom });
  }
  const width = Math.max(...cells.map((cell) => cell.x + cell.width / 2));
  const routes = chains.map((chain) => chain.slice(1, -1).flatMap(straight));
  return { width, height: y - GAP.y, routes };
}

// The points of an arrow straight down through a cell's row.
function straight({ x, top, bottom }) {
  return bottom > top ? [{ x, y: top }, { x, y: bottom }] : [{ x, y: top }];
}

// Ranks by the longest path from a source. Sources, and what reads only them, then move down to just above what they
// feed; lanes stay at the top.
function rankOf(items, edges) {
  const ranks = items.map(() => 0);
  const into = items.map(() => []);
  const out = items.map(() => []);
  for (const [from, to] of edges) {
    out[from].push(to);
    into[to].push(from);
  }
  const waiting = into.map((list) => list.length);
  const sorted = items.map((_, i) => i).filter((i) => waiting[i] === 0);
  for (const i of sorted) { // grows while it is read
    for (const j of out[i]) {
      ranks[j] = Math.max(ranks[j], ranks[i] + 1);
      waiting[j] -= 1;
      if (waiting[j] === 0) sorted.push(j);
    }
  }
  const loose = new Set();
  const follows = (j) => !items[j].lane && (into[j].length === 0 || (loose.has(j) && out[j].length === 1));
  for (const i of sorted) if (!items[i].lane && into[i].every(follows)) loose.add(i);
  for (const i of sorted.reverse()) {
    if (loose.has(i) && out[i].length) ranks[i] = out[i].reduce((least, j) => Math.min(least, ranks[j]), Infinity) - 1;
  }
  return ranks;
}

function mean(cells, of, otherwise) {
  return cells.length ? cells.reduce((sum, cell) => sum + of(cell), 0) / cells.length : otherwise;
}

function order(rows) {
  const number = () => rows.forEach((row) => row.forEach((cell, i) => { cell.place = i; }));
  number();
  for (let sweep = 0; sweep < 8; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const row of down ? rows : [...rows].reverse()) {
      for (const cell of row) cell.wish = mean(down ? cell.last : cell.next, (other) => other.place, cell.place);
      row.sort((a, b) => a.wish - b.wish || a.place - b.place);
      row.forEach((cell, i) => { cell.place = i; });
    }
  }
}

function place(rows) {
  for (const row of rows) spread(row, row.map(() => 0));
  for (let sweep = 0; sweep < 12; sweep += 1) {
    for (const row of sweep % 2 ? [...rows].reverse() : rows) {
      spread(row, row.map((cell) => mean([...cell.last, ...cell.next], (other) => other.x, cell.x)));
    }
  }
}

// Centres as near as possible to the wishes (least squares) without overlap: pool adjacent violators.
function spread(row, wishes) {
  const offsets = [];
  row.forEach((cell, i) => {
    offsets.push(i ? offsets[i - 1] + (row[i - 1].width + cell.width) / 2 + GAP.x : 0);
  });
  const blocks = [];
  wishes.forEach((wish, i) => {
    const weight = row[i].item ? 1 : 3; // keep passing arrows straight
    let block = { sum: (wish - offsets[i]) * weight, weight, count: 1 };
    while (blocks.length && blocks[blocks.length - 1].sum / blocks[blocks.length - 1].weight > block.sum / block.weight) {
      const before = blocks.pop();
      block = { sum: before.sum + block.sum, weight: before.weight + block.weight, count: before.count + block.count };
    }
    blocks.push(block);
  });
  let i = 0;
  for (const block of blocks) {
    for (let n = 0; n < block.count; n += 1, i += 1) row[i].x = block.sum / block.weight + offsets[i];
  }
}
